import { fail, libc } from './libc.ts';

/** A stretch of a file. */
export interface Extent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/**
 * Where an open file holds data, ascending, not touching, cut at `sizeBytes`; empty if it is one hole.
 * Undefined if it has no holes, or the file system does not tell. Moves the file offset: read with positions.
 * Of more than `maxExtents`, those with the smallest holes between them become one, holes and all: a manifest line has an end.
 *
 * @throws LibcError
 */
export function dataExtents(fd: number, sizeBytes: number, maxExtents = MAX_EXTENTS): Extent[] | undefined {
  let extents: Extent[] = [];
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
    const stop = end < 0 ? sizeBytes : Math.min(end, sizeBytes);
    const last = extents.at(-1);
    // A file being written: a hole seen a moment ago may hold data now.
    if (last !== undefined && last.offsetBytes + last.lengthBytes === start) {
      extents[extents.length - 1] = { offsetBytes: last.offsetBytes, lengthBytes: stop - last.offsetBytes };
    } else if (stop > start) extents.push({ offsetBytes: start, lengthBytes: stop - start });
    if (extents.length >= 2 * maxExtents) extents = withLargestHoles(extents, maxExtents);
    at = Math.max(stop, start + 1);
  }
  if (extents.length > maxExtents) extents = withLargestHoles(extents, maxExtents);
  const [first] = extents;
  const isWhole = sizeBytes === 0 || (first?.offsetBytes === 0 && first.lengthBytes === sizeBytes);
  return isWhole ? undefined : extents;
}

/** So many extents, with the largest of the holes between them. */
function withLargestHoles(extents: readonly Extent[], count: number): Extent[] {
  const holes = new Float64Array(extents.length - 1);
  for (let i = 0; i < holes.length; i++) holes[i] = holeBehind(extents, i);
  const ascending = holes.toSorted();
  const filledCount = extents.length - count;
  const largestFilled = ascending[filledCount - 1] ?? 0;
  // of holes of this size some may stay
  let left = filledCount - ascending.indexOf(largestFilled);
  const kept: Extent[] = [];
  for (const [i, extent] of extents.entries()) {
    const hole = i === 0 ? Infinity : (holes[i - 1] ?? Infinity);
    const last = kept.at(-1);
    const isFilled = hole < largestFilled || (hole === largestFilled && left-- > 0);
    if (last === undefined || !isFilled) kept.push(extent);
    else
      kept[kept.length - 1] = {
        offsetBytes: last.offsetBytes,
        lengthBytes: extent.offsetBytes + extent.lengthBytes - last.offsetBytes,
      };
  }
  return kept;
}

function holeBehind(extents: readonly Extent[], index: number): number {
  const [one, next] = [extents[index], extents[index + 1]];
  if (one === undefined || next === undefined) return Infinity;
  return next.offsetBytes - one.offsetBytes - one.lengthBytes;
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
