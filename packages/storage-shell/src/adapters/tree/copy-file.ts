import { closeSync, constants, fchmodSync, fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  copyRange,
  cString,
  dataExtents,
  fail,
  getXattrOf,
  hasCode,
  libc,
  openAt,
  reflink,
  setMtimeOf,
  unlinkAt,
  type Place,
} from '@bakker/linux';

/** So much is copied before others have their turn. */
const SLICE_BYTES = 8 * 1024 * 1024;
const BUFFER_BYTES = 1024 * 1024;
const HASH_ATTRIBUTE = 'user.bakker.sha256';

/**
 * Makes another inode of the same content, mtime, permissions and stored hash. Holes stay holes.
 *
 * @param beforeCopy - told the size, and may throw
 * @param reopen - `to` again, should a file that was begun have to be removed
 * @throws LibcError, errno errors; nothing of the copy stays then
 */
export async function copyFile(
  from: Place,
  { to, beforeCopy, reopen }: { to: Place; beforeCopy: (sizeBytes: number) => void; reopen: () => Place },
): Promise<void> {
  const source = openAt(from, { flags: constants.O_RDONLY });
  try {
    const stat = fstatSync(source, { bigint: true });
    beforeCopy(Number(stat.size));
    const target = openAt(to, {
      flags: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
      mode: 0o600,
    });
    try {
      await copyContent(source, target, Number(stat.size));
      copyHash(source, target);
      setMtimeOf(target, stat.mtimeNs);
      // Last of all: a file that may not be written to is known to be whole.
      fchmodSync(target, Number(stat.mode) & 0o555);
    } catch (error) {
      unlinkAt(reopen());
      throw error;
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}

async function copyContent(source: number, target: number, sizeBytes: number): Promise<void> {
  if (sizeBytes === 0 || reflink(source, target)) return;
  const extents = dataExtents(source, sizeBytes) ?? [{ offsetBytes: 0, lengthBytes: sizeBytes }];
  for (const { offsetBytes, lengthBytes } of extents) {
    const end = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < end;) {
      const length = Math.min(SLICE_BYTES, end - at);
      const copied =
        copyRange({ fd: source, offsetBytes: at }, { fd: target, offsetBytes: at }, length) ??
        copyByHand(source, target, { at, length });
      if (copied === 0) break; // shorter than it said: what counts bytes will notice
      at += copied;
      await nextTurn();
    }
  }
  ftruncateSync(target, sizeBytes);
}

function copyByHand(source: number, target: number, { at, length }: { at: number; length: number }): number {
  const buffer = Buffer.allocUnsafe(Math.min(length, BUFFER_BYTES));
  const readBytes = readSync(source, buffer, 0, buffer.length, at);
  for (let written = 0; written < readBytes;) {
    written += writeSync(target, buffer, written, readBytes - written, at + written);
  }
  return readBytes;
}

function copyHash(source: number, target: number): void {
  try {
    const hash = getXattrOf(source, HASH_ATTRIBUTE);
    if (hash === undefined) return;
    if (libc().fsetxattr(target, cString(HASH_ATTRIBUTE), hash, hash.length, 0) < 0) fail('fsetxattr');
  } catch (error) {
    if (!hasCode(error, 'ENOTSUP')) throw error; // where there are no attributes, the scrub reads the file anew
  }
}
