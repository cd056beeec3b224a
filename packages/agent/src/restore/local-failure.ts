import { errnoOf } from '@bakker/linux/errno';
import { AgentError } from '../errors.ts';

/** With these, every other path would fail too. */
const HOPELESS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left in the folder that is restored to',
  EDQUOT: 'the quota of the folder that is restored to is used up',
  EROFS: 'the folder that is restored to is read-only',
  EIO: 'the disk that is restored to reports an error',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open on this machine',
  ENOMEM: 'no memory is left',
};

/** Why a folder does not give way. */
export const NOT_EMPTY = 'a folder that is not empty is in the way; --delete would remove it (ENOTEMPTY)';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENAMETOOLONG: 'the name is too long for this file system',
  EINVAL: 'this file system does not take it',
  EILSEQ: 'this file system does not take the name',
  ELOOP: 'a symlink is in the way',
  ENOTDIR: 'something that is no folder is in the way',
  EISDIR: 'a folder is in the way',
  EEXIST: 'something else took the name meanwhile',
  EBUSY: 'it is a mount point, or holds the runs that are restored from',
  ETXTBSY: 'it is a running program',
  EXDEV: 'another file system is mounted here',
  EFBIG: 'the file is too large for this file system',
  ENOENT: 'its folder is gone',
};

/**
 * Why a path could not be written, in words.
 * @throws AgentError RESTORE_FAILED where going on is no use; anything that is no system error, as it is
 */
export function reasonOf(error: unknown): string {
  const code = errnoOf(error);
  if (code === undefined || error instanceof AgentError || !/^E[A-Z0-9]+$/.test(code)) throw error;
  const hopeless = HOPELESS[code];
  if (hopeless !== undefined) {
    throw new AgentError('RESTORE_FAILED', `${hopeless} (${code})`, {
      hint: 'put that right and run the same restore again: what is right already is not fetched a second time',
      cause: error,
    });
  }
  if (code === 'ENOTEMPTY') return NOT_EMPTY;
  return `${REASONS[code] ?? 'the system refused it'} (${code})`;
}
