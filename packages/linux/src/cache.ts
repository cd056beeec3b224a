import { libc } from './libc.ts';

/**
 * Takes what an open file has in the page cache out of it, so that the next reading is one of the disk. What was not
 * written yet stays, and where the file system does not do it nothing happens.
 */
export function dropFromCache(fd: number): void {
  libc().posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

const POSIX_FADV_DONTNEED = 4;
