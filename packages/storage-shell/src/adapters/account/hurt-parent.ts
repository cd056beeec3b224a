import type { HurtFile, RunName } from '@bakker/impl-format';
import type { FolderHandle } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import { parseHurt } from '../../scrub/hurt-text.ts';
import { readSmallFile } from './steps.ts';

/** What must not be taken over from a parent. */
export interface HurtContent {
  readonly files: readonly HurtFile[];
  readonly inodes: ReadonlySet<bigint>;
}

/**
 * What the last scrub found damaged, as far as a session with this parent has to know.
 *
 * @throws StorageError PARENT_CHANGED if so much is that the run is no parent any more
 */
export function hurtIn(account: FolderHandle, run: RunName): HurtContent {
  const text = readSmallFile(account, '.bakker/hurt.json', MAX_BYTES);
  const record = text && parseHurt(text.toString());
  if (record === undefined) return { files: [], inodes: new Set() };
  const files = record.files.flatMap(({ names }) => names.filter((name) => name.run === run));
  if (files.length > MAX_FILES) {
    throw new StorageError('PARENT_CHANGED', `${files.length} files of ${run} are damaged`);
  }
  // All of them: links may go to other runs.
  return { files, inodes: new Set(record.files.map(({ inode }) => BigInt(inode))) };
}

const MAX_BYTES = 1 << 30;
/** With paths of ordinary length, these fit in a reply. */
const MAX_FILES = 4096;
