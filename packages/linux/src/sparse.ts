import { fail, libc } from './libc.ts';

/** A stretch of a file. */
export interface Extent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/**
 * Where an open file holds data, ascending, not touching, cut at `sizeBytes`; empty if it is one hole.
 * Undefined if it has no holes, or the file system does not tell. Moves the file offset: read with positions.
 * What lies behind the first `maxExtents` counts as data, holes and all: a manifest line has an end.
 *
 * @throws LibcError
 */
export function dataExtents(fd: number, sizeBytes: number, maxExtents = MAX_EXTENTS): Extent[] | undefined {
  const extents: Extent[] = [];
  for (let at = 0; at < sizeBytes;) {
    const start = Number(libc().lseek(fd, at, SEEK_DATA));
    if (start < 0) {
      const errno = libc().errno();
      if (errno === ENXIO) break; // only a hole from here on
      if (errno === EINVAL) return undefined; // unknown to this file system
      fail('lseek');
    }
    if (start >= sizeBytes) break; // grew meanwhile
    const end = Number(libc().lseek(fd, start, SEEK_HOLE));
    // ENXIO: truncated since the last call; what was data is gone, and the reader will notice.
    if (end < 0 && libc().errno() !== ENXIO) fail('lseek');
    const isLast = extents.length + 1 >= maxExtents;
    const stop = end < 0 || isLast ? sizeBytes : Math.min(end, sizeBytes);
    const last = extents.at(-1);
    // A file being written: a hole seen a moment ago may hold data now.
    if (last !== undefined && last.offsetBytes + last.lengthBytes === start) {
      extents[extents.length - 1] = { offsetBytes: last.offsetBytes, lengthBytes: stop - last.offsetBytes };
    } else if (stop > start) extents.push({ offsetBytes: start, lengthBytes: stop - start });
    at = Math.max(stop, start + 1);
  }
  const [first] = extents;
  const isWhole = sizeBytes === 0 || (first?.offsetBytes === 0 && first.lengthBytes === sizeBytes);
  return isWhole ? undefined : extents;
}

/**
 * The next stretch of an open file that holds data, at `fromBytes` or behind it, cut at `sizeBytes`; undefined if none
 * is left. Where the file system does not tell, all is data. Moves the file offset: read with positions.
 *
 * @throws LibcError
 */
export function nextData(fd: number, fromBytes: number, sizeBytes: number): Extent | undefined {
  if (fromBytes >= sizeBytes) return undefined;
  const start = Number(libc().lseek(fd, fromBytes, SEEK_DATA));
  if (start < 0) {
    const errno = libc().errno();
    if (errno === ENXIO) return undefined;
    if (errno === EINVAL) return { offsetBytes: fromBytes, lengthBytes: sizeBytes - fromBytes };
    fail('lseek');
  }
  if (start >= sizeBytes) return undefined;
  const end = Number(libc().lseek(fd, start, SEEK_HOLE));
  if (end < 0 && libc().errno() !== ENXIO) fail('lseek');
  const stop = end < 0 ? sizeBytes : Math.min(end, sizeBytes);
  return { offsetBytes: start, lengthBytes: stop - start };
}

/** Frees a stretch of an open file: it reads as zeros, the length stays. False where the file system can't. @throws LibcError */
export function punchHole(fd: number, { offsetBytes, lengthBytes }: Extent): boolean {
  if (libc().fallocate(fd, KEEP_SIZE | PUNCH_HOLE, offsetBytes, lengthBytes) === 0) return true;
  if (libc().errno() === EOPNOTSUPP) return false;
  return fail('fallocate');
}

/** About 1.5 MB of a manifest line, a tenth of the longest that readers take. */
const MAX_EXTENTS = 65_536;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ENXIO = 6;
const EINVAL = 22;
const EOPNOTSUPP = 95;
