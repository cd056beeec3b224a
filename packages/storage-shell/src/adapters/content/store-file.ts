import { hasCode, openAt, setMtimeOf, setXattrOf, unlinkAt } from '@bakker/linux';
import type { Place } from '@bakker/linux';
import { hash } from 'node:crypto';
import { closeSync, constants, fchmodSync, fsyncSync } from 'node:fs';
import type { NewFile } from '../../ports/account.ts';
import { writeAll } from '../account/steps.ts';

/** The attribute of an inode that says what was stored in it: 32 bytes. */
export const DIGEST_ATTRIBUTE = 'user.bakker.sha256';

/**
 * Stores a whole file that is not there yet. If it fails, nothing stays.
 *
 * @returns SHA-256 of the content
 * @throws errno errors: `EEXIST`, `ENOSPC`
 */
export function storeFile(place: Place, content: Buffer, about: NewFile): Buffer {
  const fd = openAt(place, { flags: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode: 0o600 });
  try {
    writeAll(fd, content, 0);
    const digest = hash('sha256', content, 'buffer');
    seal(fd, digest, about);
    return digest;
  } catch (error) {
    unlinkAt(place);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Gives an open new file what its inode is to have for good. The last step makes it read-only. @throws errno errors */
export function seal(fd: number, digest: Buffer, { mtimeNs, isExecutable, flush }: NewFile): void {
  keepDigest(fd, digest);
  setMtimeOf(fd, mtimeNs);
  fchmodSync(fd, isExecutable ? 0o500 : 0o400);
  if (flush) fsyncSync(fd);
}

/** Where the file system has no such attributes, the digest is told to the client and not kept. */
let hasAttributes = true;

function keepDigest(fd: number, digest: Buffer): void {
  if (!hasAttributes) return;
  try {
    setXattrOf(fd, { name: DIGEST_ATTRIBUTE, value: digest });
  } catch (error) {
    if (!hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
    hasAttributes = false;
  }
}
