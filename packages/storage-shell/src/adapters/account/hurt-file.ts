import type { HurtFile, RunName } from '@bakker/impl-format/storage';
import type { FolderHandle } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import { readHurt } from '../runs/hurt-record.ts';

/** What must not be taken over from a run. */
export interface HurtFiles {
  readonly files: readonly HurtFile[];
  readonly inodes: ReadonlySet<bigint>;
}

/**
 * What the last scrub found damaged, as far as it is in a run.
 *
 * @throws StorageError PARENT_CHANGED if so much is that the run is no parent any more
 */
export function hurtFiles(account: FolderHandle, run: RunName): HurtFiles {
  const record = readHurt(account);
  if (record === undefined) return { files: [], inodes: new Set() };
  const files = record.files.flatMap(({ names }) => names.filter((name) => name.run === run));
  if (files.length > MAX_FILES) {
    throw new StorageError('PARENT_CHANGED', `${files.length} files of ${run} are damaged`);
  }
  // All of them: links may go to other runs.
  return { files, inodes: new Set(record.files.map(({ inode }) => BigInt(inode))) };
}

/** With paths of ordinary length, these fit in a reply. */
const MAX_FILES = 4096;
