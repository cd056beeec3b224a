import type { RunName } from '@bakker/impl-format/storage';
import { cString, hasCode, unlinkAt } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { statfsSync } from 'node:fs';
import { DEFAULT_POLICY } from '../../policy/account-policy.ts';
import type { AccountPolicy } from '../../policy/account-policy.ts';
import { parseAccountPolicy } from '../../policy/parse-policy.ts';
import type {
  AccountKeeper,
  FrozenAccount,
  Measured,
  RemovalOutcome,
  StoredRun,
  TrashEntry,
  VolumeSpace,
} from '../../ports/account-keeper.ts';
import type { FreedFigures } from '../../retain/shared-use.ts';
import { readFrozen, removeFrozen, writeFrozen } from '../account/frozen-file.ts';
import { readHurt } from './hurt-record.ts';
import { lockNames, lockNamesSync } from '../account/locks.ts';
import { POLICY_FILE, readPolicyText } from '../account/policy-text.ts';
import { addUsage, readUsage } from '../account/usage-file.ts';
import { measureAccount, measureRuns } from './measure-runs.ts';
import { openAccountFolder } from './open-account.ts';
import { recount } from './recount.ts';
import { bringRunBack, mendNames, removeRun } from './remove-run.ts';
import { removeLargeTree } from './remove-large-tree.ts';
import { removeTree } from './remove-tree.ts';
import { releasedBytes, useOf } from '../tree/inode-use.ts';
import { storedRuns } from './stored-runs.ts';
import { RemovalFolders, lookAtTrash } from './trash-folder.ts';

/**
 * Opens an account for those who keep it.
 *
 * @throws StorageError NOT_FOUND if there is no such account
 */
export function openKeeper(rootDir: string, account: string): AccountKeeper {
  return new DiskKeeper(account, openAccountFolder(rootDir, account));
}

/**
 * The policy of an account, of which nothing has to be written down.
 *
 * @param name - of the account, for messages: many may have their turn one after the other
 * @throws StorageError CONFIG_INVALID
 */
function readPolicy(account: FolderHandle, name: string): AccountPolicy {
  const text = readPolicyText(account);
  return text === undefined ? DEFAULT_POLICY : parseAccountPolicy(text, `${name}/${POLICY_FILE}`);
}

/** How often a deletion writes down what it has freed: a few large files may be most of an account. */
const FREED_INODES_A_NOTE = 20_000;
const FREED_BYTES_A_NOTE = 64 * 1024 * 1024;

class DiskKeeper implements AccountKeeper {
  readonly account: string;
  readonly #folder: FolderHandle;

  constructor(account: string, folder: FolderHandle) {
    this.account = account;
    this.#folder = folder;
  }

  policy(): AccountPolicy {
    return readPolicy(this.#folder, this.account);
  }

  frozen(): FrozenAccount | undefined {
    return readFrozen(this.#folder);
  }

  async freeze(frozen: FrozenAccount): Promise<void> {
    using folders = new RemovalFolders(this.#folder);
    using _names = await lockNames(this.#folder);
    writeFrozen(folders.hidden, frozen);
  }

  async thaw(): Promise<FrozenAccount | undefined> {
    using folders = new RemovalFolders(this.#folder);
    using _names = await lockNames(this.#folder);
    const frozen = readFrozen(this.#folder);
    removeFrozen(folders.hidden);
    return frozen;
  }

  runs(): StoredRun[] {
    return storedRuns(this.#folder, new Set(readHurt(this.#folder)?.manifests));
  }

  async mend(): Promise<void> {
    using folders = new RemovalFolders(this.#folder);
    using _names = await lockNames(this.#folder);
    mendNames(folders);
  }

  async remove(run: RunName, nowMs: number): Promise<RemovalOutcome> {
    using folders = new RemovalFolders(this.#folder);
    return await removeRun(folders, run, nowMs);
  }

  trash(): TrashEntry[] {
    using folders = new RemovalFolders(this.#folder);
    return [...lookAtTrash(folders.trash).entries];
  }

  async deleteGivenUp(signal: AbortSignal): Promise<void> {
    using folders = new RemovalFolders(this.#folder);
    for (const name of lookAtTrash(folders.trash).foreignNames) await this.#delete(folders, name, signal);
  }

  async deleteTrashed(name: string, signal: AbortSignal): Promise<'deleted' | 'frozen'> {
    using folders = new RemovalFolders(this.#folder);
    {
      using _names = await lockNames(this.#folder);
      // A session may have published, and frozen the account, since the deletions began: they take hours.
      if (this.frozen() !== undefined) return 'frozen';
      // From here on it can't be brought back any more: the manifest is what `undelete` looks for.
      for (const suffix of ['.impl', '.json']) unlinkCounted(folders, Buffer.from(name + suffix));
    }
    await this.#delete(folders, Buffer.from(`${name}.diff`), signal);
    await this.#delete(folders, Buffer.from(name), signal);
    return 'deleted';
  }

  async bringBack(run: RunName): Promise<void> {
    using folders = new RemovalFolders(this.#folder);
    await bringRunBack(folders, run);
  }

  space(): VolumeSpace {
    const { bsize, blocks, bavail } = statfsSync(this.#folder.at(Buffer.from('.')));
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  }

  usedBytes(): number | undefined {
    return readUsage(this.#folder)?.usedBytes;
  }

  measure(runs: readonly RunName[], signal: AbortSignal): Promise<Measured> {
    return measureRuns(this.#folder, runs, signal);
  }

  measureAll(signal: AbortSignal): Promise<FreedFigures> {
    return measureAccount(this.#folder, signal);
  }

  async recount(options: { nowMs: number; signal: AbortSignal }): Promise<boolean> {
    using folders = new RemovalFolders(this.#folder);
    return await recount(folders, options);
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }

  async #delete(folders: RemovalFolders, name: Buffer, signal: AbortSignal): Promise<void> {
    const { trash } = folders;
    const counter = readUsage(this.#folder) === undefined ? undefined : new FreedCounter(folders);
    try {
      if (counter === undefined) await removeLargeTree(trash, name, { signal });
      else await removeTree(trash, name, { signal, freed: counter.add });
    } catch (error) {
      // A file among what was given up.
      if (!hasCode(error, 'ENOTDIR', 'ELOOP')) throw error;
      using _names = await lockNames(this.#folder);
      unlinkCounted(folders, name);
    } finally {
      counter?.note();
    }
  }
}

/** Removes a file from the trash. Under the lock of names. */
function unlinkCounted(folders: RemovalFolders, name: Buffer): void {
  const use = useOf(folders.trash, cString(name));
  const isGone = unlinkAt({ folder: folders.trash, name });
  if (isGone && use?.links === 1) addUsage(folders, { bytes: -releasedBytes(use), inodes: -1 });
}

/** Writes down what a deletion frees, while it goes: a death loses little of the count. */
class FreedCounter {
  readonly #folders: RemovalFolders;
  #bytes = 0;
  #inodes = 0;

  constructor(folders: RemovalFolders) {
    this.#folders = folders;
  }

  readonly add = (bytes: number): void => {
    this.#bytes += bytes;
    this.#inodes++;
    if (this.#inodes >= FREED_INODES_A_NOTE || this.#bytes >= FREED_BYTES_A_NOTE) this.note();
  };

  note(): void {
    if (this.#inodes === 0) return;
    using _names = lockNamesSync(this.#folders.account);
    addUsage(this.#folders, { bytes: -this.#bytes, inodes: -this.#inodes });
    this.#bytes = this.#inodes = 0;
  }
}
