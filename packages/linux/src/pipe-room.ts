import { libc } from './libc.ts';

/**
 * Gives a pipe room for so much. What is no pipe, or may not be given so much (pipe(7)), stays as it is: nothing depends on it.
 * A pipe has 64 KiB at first; where both ends are busy, they take turns at the processor each time that it is full.
 */
export function widenPipe(fd: number, bytes: number): void {
  libc().fcntlInt(fd, F_SETPIPE_SZ, bytes);
}

const F_SETPIPE_SZ = 1031;
