import { errnoOf } from '@bakker/linux/errno';
import { StorageError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/**
 * What work in an account failed with, in words, where it is the account's files or disk that are not as they should be. Anything
 * else is returned as it is.
 *
 * @param error - what was thrown, without disposers that failed behind it
 */
export function accountFailure(account: string, error: unknown): unknown {
  const found = WORDS[errnoOf(error) ?? ''];
  if (found === undefined || !(error instanceof Error)) return error;
  const [code, words, hint] = found;
  return new StorageError(code, `the account ${account}: ${words} (${error.message})`, {
    hint,
    cause: error,
  });
}

const DISK = ['ACCOUNT_UNUSABLE', 'its disk failed', 'look at that disk (dmesg)'] as const;
const FOREIGN = [
  'ACCOUNT_UNUSABLE',
  "something in it is closed to the account's user",
  "look whose it is, and whether it is immutable (ls -ld, lsattr -d): all but account.yaml and agent.yaml is the user's own",
] as const;
const IN_THE_WAY = [
  'ACCOUNT_UNUSABLE',
  'something else has the place of a file or folder of its own',
  'move that out of the way, then run this again',
] as const;

const WORDS: Readonly<Partial<Record<string, readonly [ErrorCode, string, string]>>> = {
  EIO: DISK,
  EUCLEAN: DISK,
  EROFS: [
    'ACCOUNT_UNUSABLE',
    'its file system is read-only',
    'mount it for writing; if it became so by itself, look at the disk first (dmesg)',
  ],
  EACCES: FOREIGN,
  EPERM: FOREIGN,
  ENOTDIR: IN_THE_WAY,
  EISDIR: IN_THE_WAY,
  ELOOP: IN_THE_WAY,
  EEXIST: IN_THE_WAY,
  ENOTEMPTY: IN_THE_WAY,
  EBUSY: IN_THE_WAY,
  ESPIPE: IN_THE_WAY,
  ENOENT: ['FAILED', 'something in it went meanwhile', 'run this again'],
  ENOSPC: ['FULL', 'its volume is full', 'bakker-storage grow gives the account more room'],
  EDQUOT: ['QUOTA', 'its quota is reached', 'bakker-storage grow gives the account more room'],
};
