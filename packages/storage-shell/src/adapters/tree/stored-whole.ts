import { getXattrOf, hasCode, openAt, type Place } from '@bakker/linux';
import { createHash } from 'node:crypto';
import { closeSync, constants, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DIGEST_ATTRIBUTE } from '../content/store-file.ts';

const PIECE_BYTES = 1024 * 1024;

/**
 * Whether the bytes of a file are those that were stored, by the hash that its inode was given then. Without that hash they
 * are not known to be. Memory: 1 MiB; others have their turn after each.
 *
 * @param check - called before each piece; throws when nobody waits any more
 * @throws errno errors; what `check` throws
 */
export async function isStoredWhole(place: Place, check: () => void): Promise<boolean> {
  const fd = openAt(place, { flags: constants.O_RDONLY | constants.O_NONBLOCK });
  try {
    const expected = digestOf(fd);
    if (expected === undefined) return false;
    const sum = createHash('sha256');
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let at = 0; ;) {
      const length = readSync(fd, piece, 0, piece.length, at);
      if (length === 0) return sum.digest().equals(expected);
      sum.update(piece.subarray(0, length));
      at += length;
      if (length < piece.length) continue;
      await nextTurn();
      check();
    }
  } catch (error) {
    // A disk that can't read it has not got it.
    if (hasCode(error, ...DISK_FAULTS)) return false;
    throw error;
  } finally {
    closeSync(fd);
  }
}

const DISK_FAULTS = ['EIO', 'EUCLEAN', 'EBADMSG', 'EILSEQ'];

function digestOf(fd: number): Buffer | undefined {
  try {
    return getXattrOf(fd, DIGEST_ATTRIBUTE);
  } catch (error) {
    if (hasCode(error, 'ENOTSUP')) return undefined;
    throw error;
  }
}
