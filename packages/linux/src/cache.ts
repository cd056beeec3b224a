import { libc } from './libc.ts';
import type { Extent } from './sparse.ts';

/**
 * Takes what an open file has in the page cache out of it, so that the next reading is one of the disk. What was not
 * written yet stays, and where the file system does not do it nothing happens.
 */
export function dropFromCache(fd: number): void {
  libc().posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/** Has the kernel begin to read a stretch of an open file into its cache. Where it does not, nothing happens. */
export function readAheadOf(fd: number, { offsetBytes, lengthBytes }: Extent): void {
  libc().posix_fadvise(fd, offsetBytes, lengthBytes, POSIX_FADV_WILLNEED);
}

const POSIX_FADV_WILLNEED = 3;
const POSIX_FADV_DONTNEED = 4;
