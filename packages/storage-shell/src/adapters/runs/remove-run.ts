import { diffName, incompleteName, manifestName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { hasCode, linkAt, renameNewAt, unlinkAt } from '@bakker/linux';
import type { FolderHandle, Place } from '@bakker/linux';
import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { RemovalOutcome } from '../../ports/account-keeper.ts';
import { trashName } from '../../retain/trash-names.ts';
import { readFrozen } from '../account/frozen-file.ts';
import { claimRunForRemoval, lockNames } from '../account/locks.ts';
import { latestTarget, lookAt } from '../account/look.ts';
import { pointLatestAt } from '../account/steps.ts';
import { lookAtTrash } from './trash-folder.ts';
import type { RemovalFolders } from './trash-folder.ts';

/*
 * A removal and its undoing are the same steps in two directions. What belongs to a run gets a second name at its new
 * place first; then the run's folder moves, in one step; then the old names go. So a run's manifest is there whenever its
 * folder is, on either side, and a death at any step leaves names that are too many, never one too few.
 */

/** @throws StorageError FULL, FAILED; LibcError */
export async function removeRun(
  folders: RemovalFolders,
  run: RunName,
  nowMs: number,
): Promise<RemovalOutcome> {
  const { account, trash } = folders;
  using _names = await lockNames(account);
  // A session may have published, and frozen the account, since the plan was made.
  if (readFrozen(account) !== undefined) return 'frozen';
  const claimed = claimRunForRemoval(account, run);
  if (claimed === undefined) return 'gone';
  if (claimed === 'in-use') return 'in-use';
  using _claim = claimed;
  const target = trashName(run, nowMs, randomBytes(4).readUInt32LE());
  try {
    moveLatestAwayFrom(folders, run);
    move(partsOf(folders, run, target), {
      mayFollow: true,
      from: { folder: account, name: Buffer.from(run) },
      to: { folder: trash, name: Buffer.from(target) },
    });
  } catch (error) {
    throw fullOr(error);
  }
  return 'removed';
}

/** Brings back the newest removal of a run that is still whole. @throws StorageError NOT_FOUND, NAME_TAKEN, FULL; LibcError */
export async function bringRunBack(folders: RemovalFolders, run: RunName): Promise<void> {
  const { account, trash } = folders;
  using _names = await lockNames(account);
  mendNames(folders);
  const entry = lookAtTrash(trash).entries.findLast((trashed) => trashed.run === run && trashed.isWhole);
  if (entry === undefined) {
    throw new StorageError('NOT_FOUND', `${run} is not in the trash, or its deletion has begun`, {
      hint: 'bakker-storage undelete ACCOUNT shows what can be brought back',
    });
  }
  for (const name of [run, incompleteName(run), manifestName(run)]) {
    if (lstatSync(account.at(Buffer.from(name)), { throwIfNoEntry: false }) === undefined) continue;
    throw new StorageError('NAME_TAKEN', `${name} is there: the name was used again since`);
  }
  const parts = partsOf(folders, run, entry.name).map(({ from, to, isFolder }) => ({
    from: to,
    to: from,
    isFolder,
  }));
  try {
    move(parts, {
      mayFollow: false,
      from: { folder: trash, name: Buffer.from(entry.name) },
      to: { folder: account, name: Buffer.from(run) },
    });
    const newest = lookAt(account).complete.at(-1);
    if (newest !== undefined && latestTarget(account) !== newest) pointLatestAt(folders, newest);
  } catch (error) {
    throw fullOr(error);
  }
}

/**
 * Ends what a killed removal or its undoing left. The caller has the lock of names.
 *
 * @throws LibcError
 */
export function mendNames({ account, receipts, trash, hidden }: RemovalFolders): void {
  const folders = { account, receipts, trash, hidden };
  const { entries, strays } = lookAtTrash(trash);
  for (const { run, name, suffix } of strays) {
    const part = partsOf(folders, run, name).find(({ to }) => to.name.toString() === name + suffix);
    if (part === undefined) continue;
    // Beside a folder that was brought back, or that was not moved yet: it belongs to the run, which may have it already.
    if (isThere(account, run) && !isThere(part.from.folder, part.from.name)) renameNewAt(part.to, part.from);
    else if (!part.isFolder) unlinkAt(part.to);
  }
  for (const entry of entries) {
    if (isThere(account, entry.run) || isThere(account, incompleteName(entry.run))) continue;
    // The manifest of a run that went: its second name, unless there was no room for one.
    for (const { from, to } of partsOf(folders, entry.run, entry.name)) {
      if (!isThere(from.folder, from.name)) continue;
      if (isThere(to.folder, to.name)) unlinkIfSame(from, to);
      else if (!entry.isWhole) renameNewAt(from, to);
    }
  }
}

interface Part {
  readonly from: Place;
  readonly to: Place;
  readonly isFolder: boolean;
}

type Folders = Pick<RemovalFolders, 'account' | 'receipts' | 'trash' | 'hidden'>;

/** What belongs to a run beside its folder: where it lies in the account, and in the trash. */
function partsOf({ account, receipts, trash }: Folders, run: RunName, target: string): Part[] {
  const part = (folder: FolderHandle, name: string, suffix: string): Part => ({
    from: { folder, name: Buffer.from(name) },
    to: { folder: trash, name: Buffer.from(target + suffix) },
    isFolder: suffix === '.diff',
  });
  return [
    part(account, manifestName(run), '.impl'),
    part(receipts, `${run}.json`, '.json'),
    part(account, diffName(run), '.diff'),
  ];
}

interface Move {
  readonly from: Place;
  readonly to: Place;
  /** Whether a file that can't have two names for a moment may come after the folder: `mendNames` brings it. */
  readonly mayFollow: boolean;
}

function move(parts: readonly Part[], { from, to, mayFollow }: Move): void {
  const linked: Part[] = [];
  const late: Part[] = [];
  try {
    for (const part of parts) {
      if (!isThere(part.from.folder, part.from.name)) continue;
      const isLate = part.isFolder || !link(part, { mayFail: mayFollow });
      (isLate ? late : linked).push(part);
    }
    renameNewAt(from, to);
  } catch (error) {
    for (const part of linked) unlinkAt(part.to);
    throw error;
  }
  const followed: Part[] = [];
  try {
    for (const part of late) {
      renameNewAt(part.from, part.to);
      followed.push(part);
    }
  } catch (error) {
    // What can't move at all, as an immutable manifest: the folder stays with it.
    for (const part of followed) renameNewAt(part.to, part.from);
    renameNewAt(to, from);
    for (const part of linked) unlinkAt(part.to);
    throw error;
  }
  for (const part of linked) unlinkAt(part.from);
}

/** False where a second name finds no room, or can't be. */
function link({ from, to }: Part, { mayFail }: { mayFail: boolean }): boolean {
  try {
    linkAt(from, to);
    return true;
  } catch (error) {
    if (mayFail && hasCode(error, 'ENOSPC', 'EDQUOT', 'EMLINK', 'EPERM')) return false;
    throw error;
  }
}

function moveLatestAwayFrom(folders: RemovalFolders, run: RunName): void {
  const survivor = lookAt(folders.account).complete.findLast((other) => other !== run);
  if (survivor === undefined) throw new StorageError('FAILED', `${run} is the only run: it stays`);
  const latest = latestTarget(folders.account);
  if (latest === run || latest === undefined) pointLatestAt(folders, survivor);
}

function isThere(folder: FolderHandle, name: string | Buffer): boolean {
  return lstatSync(folder.at(Buffer.from(name)), { throwIfNoEntry: false }) !== undefined;
}

function unlinkIfSame(place: Place, other: Place): void {
  const [a, b] = [place, other].map(({ folder, name }) => lstatSync(folder.at(name)));
  if (a?.ino === b?.ino && a?.isFile() === true) unlinkAt(place);
}

function fullOr(error: unknown): unknown {
  if (!hasCode(error, 'ENOSPC', 'EDQUOT')) return error;
  return new StorageError('FULL', 'the volume is so full that not even a name finds room', {
    hint: 'bakker-storage grow gives the account more room; bakker-storage retention --account NAME --empty-trash frees that of removed runs at once',
    cause: error,
  });
}
