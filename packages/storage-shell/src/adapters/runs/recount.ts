import type { FolderHandle } from '@bakker/linux';
import type { FreedFigures } from '../../retain/shared-use.ts';
import { lockNames, trySessionLock } from '../account/locks.ts';
import { readUsage, writeUsage } from '../account/usage-file.ts';
import { measureAccount } from './measure-runs.ts';
import { lookAtTrash } from './trash-folder.ts';
import type { RemovalFolders } from './trash-folder.ts';

/** What comes and goes is added up in between, and never quite right. */
const OLD_MS = 7 * 86_400_000;
/** For the small files and folders of `.bakker` that are made without being counted. */
const UNCOUNTED = { bytes: 32 * 1024, inodes: 16 };

/** All that the account takes, a little too much. @throws LibcError; the signal's reason */
export async function countAll(account: FolderHandle, signal: AbortSignal): Promise<FreedFigures> {
  const { bytes, inodes } = await measureAccount(account, signal);
  return { bytes: bytes + UNCOUNTED.bytes, inodes: inodes + UNCOUNTED.inodes };
}

/**
 * Counts an account anew if somebody counts it and the last time is a week ago. Takes no lock for as long as it looks:
 * if something was stored or removed meanwhile, the old count stays, for the next call.
 *
 * @returns whether the count is new
 * @throws LibcError; the signal's reason
 */
export async function recount(
  folders: RemovalFolders,
  { nowMs, signal }: { nowMs: number; signal: AbortSignal },
): Promise<boolean> {
  const { account, hidden } = folders;
  const before = readUsage(account);
  // A count of days to come is of a clock that was wrong.
  const isDue = before !== undefined && !(before.atMs <= nowMs && nowMs - before.atMs < OLD_MS);
  if (!isDue || isChanging(folders)) return false;
  const { bytes, inodes } = await countAll(account, signal);
  using _names = await lockNames(account);
  const now = readUsage(account);
  if (now?.usedBytes !== before.usedBytes || now.inodes !== before.inodes || isChanging(folders))
    return false;
  writeUsage(hidden, { usedBytes: bytes, inodes, atMs: nowMs });
  return true;
}

/** Whether a session stores or a removal is under way, which tell only later what came and went. */
function isChanging({ account, trash }: RemovalFolders): boolean {
  const lock = trySessionLock(account);
  if (lock === undefined) return true;
  lock[Symbol.dispose]();
  const { entries, foreignNames } = lookAtTrash(trash);
  return foreignNames.length > 0 || entries.some(({ isWhole }) => !isWhole);
}
