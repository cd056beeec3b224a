import { diffName, manifestName, receiptName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { cString, hasCode, openFolderBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import type { Measured } from '../../ports/account-keeper.ts';
import { DistinctUse, SharedUse } from '../../retain/shared-use.ts';
import type { FreedFigures, MetInode } from '../../retain/shared-use.ts';
import { ITSELF, useOf } from '../tree/inode-use.ts';
import { walkTree } from './walk-tree.ts';

/**
 * Exactly what deleting each of the runs alone, and all of them together, would free: inodes go with their last name.
 * Memory: 12 to 36 bytes, twice, for each inode that has further names.
 *
 * @throws StorageError NOT_FOUND; LibcError; the signal's reason
 */
export async function measureRuns(
  account: FolderHandle,
  runs: readonly RunName[],
  signal: AbortSignal,
): Promise<Measured> {
  const together = new SharedUse();
  const measured: { run: RunName; freed: FreedFigures }[] = [];
  for (const run of new Set(runs)) {
    const alone = new SharedUse();
    const isThere = await meetRun(account, run, {
      signal,
      meet: (inode) => {
        alone.meet(inode);
        together.meet(inode);
      },
    });
    if (!isThere) throw new StorageError('NOT_FOUND', `there is no complete run ${run}`);
    measured.push({ run, freed: alone.freed });
  }
  return { runs: measured, together: together.freed };
}

/** What deleting these folders, all together, would free; those that are not there, nothing. @throws LibcError; the signal's reason */
export async function measureFolders(
  parent: FolderHandle,
  names: readonly string[],
  signal: AbortSignal,
): Promise<FreedFigures> {
  const together = new SharedUse();
  for (const name of names) await meetFolder(parent, name, { signal, meet: (inode) => together.meet(inode) });
  return together.freed;
}

/** What everything in the account takes. @throws LibcError; the signal's reason */
export async function measureAccount(account: FolderHandle, signal: AbortSignal): Promise<FreedFigures> {
  const all = new DistinctUse();
  using fresh = openFolderBeneath(account, Buffer.alloc(0));
  await meetTree(fresh, { signal, meet: (inode) => all.meet(inode) });
  return all.used;
}

interface Meeting {
  readonly signal: AbortSignal;
  readonly meet: (inode: MetInode) => void;
}

/** False if the run is not there. */
async function meetRun(account: FolderHandle, run: RunName, meeting: Meeting): Promise<boolean> {
  if (!(await meetFolder(account, run, meeting))) return false;
  await meetFolder(account, diffName(run), meeting);
  for (const path of [manifestName(run), receiptName(run)]) meetFile(account, path, meeting);
  return true;
}

async function meetFolder(account: FolderHandle, name: string, meeting: Meeting): Promise<boolean> {
  let folder: FolderHandle;
  try {
    folder = openFolderBeneath(account, Buffer.from(name));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
  using tree = folder;
  await meetTree(tree, meeting);
  return true;
}

function meetFile(account: FolderHandle, path: string, { meet }: Meeting): void {
  const use = useOf(account, cString(path));
  if (use !== undefined) meet(use);
}

function meetTree(root: FolderHandle, { meet, signal }: Meeting): Promise<void> {
  return walkTree(
    root,
    {
      enter: (folder) => {
        const use = useOf(folder, ITSELF);
        if (use !== undefined) meet({ ...use, links: 1 });
      },
      entry: ({ folder, cName }) => {
        const use = useOf(folder, cName);
        if (use !== undefined) meet(use);
      },
    },
    { signal },
  );
}
