import { fail, libc } from './libc.ts';

/** Writes all of the file system that an open file is on to its disk, and waits for it. @throws LibcError `EIO`, `ENOSPC` */
export function syncFilesystem(fd: number): void {
  if (libc().syncfs(fd) < 0) fail('syncfs');
}

/** The same on another thread, to have it done early. Resolves when it ended, however that was: who needs to know syncs again. */
export function syncFilesystemLater(fd: number): Promise<void> {
  return new Promise((resolve) => {
    libc().syncfsLater(fd, () => resolve());
  });
}
