import type { RunName } from '@bakker/impl-format/storage';
import type { AccountPolicy } from '../policy/account-policy.ts';
import type { FreedFigures } from '../retain/shared-use.ts';
import type { StoredReceipt } from '../retain/stored-receipt.ts';
import type { TrashedRun } from '../retain/trash-names.ts';

/** `.bakker/frozen.json`: retention stands still. */
export interface FrozenAccount {
  readonly reason: string;
  /** Undefined if the account had no run. */
  readonly sinceRun: string | undefined;
  readonly atMs: number;
}

/** A complete run as it lies in the account. */
export interface StoredRun {
  readonly run: RunName;
  readonly receipt: StoredReceipt | undefined;
  /** ctime of the run's folder, which nobody can choose. */
  readonly folderChangedAtMs: number;
  /** Whether there is a manifest that is not empty. */
  readonly hasManifest: boolean;
  /** Whether the last scrub found the manifest damaged. */
  readonly isHurt: boolean;
}

export interface TrashEntry extends TrashedRun {
  /** ctime of its folder. */
  readonly renamedAtMs: number;
  /** With its manifest, so that it can be brought back. */
  readonly isWhole: boolean;
}

export interface VolumeSpace {
  readonly totalBytes: number;
  /** For everybody but root. */
  readonly freeBytes: number;
}

/** What a removal came to: `in-use` while a session has the run as its parent. */
export type RemovalOutcome = 'removed' | 'in-use' | 'gone' | 'frozen';

/** One account, as those who keep it see it: in the name of its own user. Disposing closes its handles. */
export interface AccountKeeper extends Disposable {
  readonly account: string;
  /** @throws StorageError CONFIG_INVALID */
  policy(): AccountPolicy;
  frozen(): FrozenAccount | undefined;
  freeze(frozen: FrozenAccount): Promise<void>;
  /** @returns what it was frozen for, undefined if it was not */
  thaw(): Promise<FrozenAccount | undefined>;
  /** Complete runs, oldest first. */
  runs(): StoredRun[];
  /** Ends what a killed removal or `undelete` left. */
  mend(): Promise<void>;
  /**
   * Takes a run away, into the trash. At any moment it is either wholly there or wholly away.
   *
   * @throws StorageError FULL if not even a name finds room, FAILED for the only run
   */
  remove(run: RunName, nowMs: number): Promise<RemovalOutcome>;
  /** Oldest first. */
  trash(): TrashEntry[];
  /** Deletes what was not made by `remove`: folders of runs that were given up. */
  deleteGivenUp(signal: AbortSignal): Promise<void>;
  /** Deletes a removed run for good, unless the account is frozen by now. Cut off, the next call goes on. */
  deleteTrashed(name: string, signal: AbortSignal): Promise<'deleted' | 'frozen'>;
  /** Brings the newest removal of a run back. @throws StorageError NOT_FOUND, NAME_TAKEN */
  bringBack(run: RunName): Promise<void>;
  space(): VolumeSpace;
  /** Blocks that the account takes, if somebody counts them. */
  usedBytes(): number | undefined;
  /** Exactly what deleting each of the runs, and all together, would free. @throws StorageError NOT_FOUND */
  measure(runs: readonly RunName[], signal: AbortSignal): Promise<Measured>;
  /** What all that lies in the account takes, each inode once. */
  measureAll(signal: AbortSignal): Promise<FreedFigures>;
  /** Counts anew what the account takes, if somebody counts it and the last time is a week ago. @returns whether it did */
  recount(options: { readonly nowMs: number; readonly signal: AbortSignal }): Promise<boolean>;
}

export interface Measured {
  readonly runs: readonly { readonly run: RunName; readonly freed: FreedFigures }[];
  readonly together: FreedFigures;
}
