import { FormatProblem, REFUSAL } from '@bakker/impl-format/storage';
import { errnoOf } from '@bakker/linux/errno';
import { SftpRefusal } from '@bakker/sftp/server';
import { StorageError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/**
 * What a client is told of a failure: the status of docs/storage-protocol.md and a sentence. Undefined for what was not
 * foreseen: that is nothing for a client, but for the storage's own log.
 */
export function refusalOf(error: unknown): SftpRefusal | undefined {
  if (error instanceof SftpRefusal) return error;
  if (error instanceof StorageError) {
    const hint = error.hint === undefined ? '' : `; ${error.hint}`;
    return new SftpRefusal(STATUS_OF[error.code] ?? REFUSAL.FAILED, `${error.message}${hint}`);
  }
  if (error instanceof FormatProblem) return new SftpRefusal(REFUSAL.SENSELESS, error.message);
  const errno = errnoIn(error);
  if (errno === undefined) return undefined;
  const [status, words] = ERRNO[errno] ?? [REFUSAL.FAILED, `the storage failed with ${errno}`];
  return new SftpRefusal(status, words);
}

const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: REFUSAL.NOT_THERE,
  DENIED: REFUSAL.NOT_ALLOWED,
  OUT_OF_ORDER: REFUSAL.SENSELESS,
  UNSUPPORTED: REFUSAL.UNKNOWN_VERB,
  NAME_TAKEN: REFUSAL.TAKEN,
  PAST_READ_ONLY: REFUSAL.PAST_READ_ONLY,
  FULL: REFUSAL.DISK_FULL,
  QUOTA: REFUSAL.LIMIT_REACHED,
  LOCKED: REFUSAL.LOCKED,
  PARENT_CHANGED: REFUSAL.PARENT_CHANGED,
  COUNTS_DIFFER: REFUSAL.COUNTS_DIFFER,
  MANIFEST_DAMAGED: REFUSAL.MANIFEST_DIFFERS,
};

const ERRNO: Readonly<Record<string, readonly [number, string]>> = {
  ENOENT: [REFUSAL.NOT_THERE, 'nothing is there'],
  ENOTDIR: [REFUSAL.NOT_THERE, 'what lies above it is no folder'],
  ELOOP: [REFUSAL.NOT_THERE, 'a symlink is in the way, and none is followed'],
  EXDEV: [REFUSAL.NOT_THERE, 'it lies outside of the account'],
  ENAMETOOLONG: [REFUSAL.FAILED, 'the name is too long for this file system'],
  EACCES: [REFUSAL.NOT_ALLOWED, "the account's user may not do this"],
  EPERM: [REFUSAL.NOT_ALLOWED, "the account's user may not do this"],
  EROFS: [REFUSAL.FAILED, 'the file system is mounted read-only'],
  EEXIST: [REFUSAL.TAKEN, 'the name is taken'],
  EISDIR: [REFUSAL.FAILED, 'it is a folder'],
  ENOSPC: [REFUSAL.DISK_FULL, 'the file system is full'],
  EDQUOT: [REFUSAL.LIMIT_REACHED, "the file system's quota is reached"],
  EIO: [REFUSAL.FAILED, "the storage's disk failed (EIO)"],
};

/** The name of an errno that an adapter's error bears. */
function errnoIn(error: unknown): string | undefined {
  const code = errnoOf(error);
  return code !== undefined && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}
