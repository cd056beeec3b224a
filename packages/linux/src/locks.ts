import { fail, libc } from './libc.ts';

/** Takes the exclusive lock of an open file without waiting; the kernel drops it when the file is closed. False if another holds it. @throws LibcError */
export function tryLock(fd: number): boolean {
  if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  return libc().errno() === EWOULDBLOCK ? false : fail('flock');
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;
