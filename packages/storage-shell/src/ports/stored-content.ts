import type { RunName } from '@bakker/impl-format/storage';

/** A stored file whose bytes are not what was stored. */
export interface HurtContent {
  readonly inode: number;
  /** What it should be (hex). */
  readonly sha256: string;
  /** What it is now; null if it can't be read. */
  readonly found: string | null;
}

/** One name of a hurt file. */
export interface HurtName {
  readonly inode: number;
  readonly run: RunName;
  /** Below the run. */
  readonly path: Buffer;
}

/** What `.bakker/hurt.json` says. */
export interface HurtRecord {
  readonly atMs: number;
  /** Runs whose manifest does not have the hash of its receipt. */
  readonly manifests: readonly RunName[];
  readonly files: readonly (HurtContent & {
    readonly names: readonly { readonly run: RunName; readonly path: Buffer }[];
  })[];
}

/** `gone`: while nobody looked; `noted`: it had no checksum so far; `given-up`: it took too long. */
export type CheckOutcome = 'good' | 'gone' | 'noted' | 'given-up' | HurtContent;

/**
 * When each inode was checked last: seconds since 1970 in the order of the inodes' numbers, 0 for never. What is written
 * is on its way to the disk at once, so that a death loses little.
 */
export interface CheckTimes extends Disposable {
  readonly inodes: Float64Array;
  readonly checkedAtS: Uint32Array;
  /** Places of those that were given up at that time. */
  readonly givenUp: ReadonlySet<number>;
  set(place: number, checkedAtS: number, options?: { readonly isGivenUp: boolean }): void;
}

/** The content of an account, as scrub sees it. */
export interface StoredContent extends Disposable {
  /** Numbers of all regular files in complete runs, ascending, each once. */
  inodes(signal: AbortSignal): Promise<Float64Array>;
  /** What is remembered of these; all else is forgotten. @throws StorageError FULL */
  checkTimes(inodes: Float64Array): CheckTimes;
  /**
   * Reads files from the disk, each inode at most once, in the order in which they lie in the runs.
   *
   * @param isWanted - whether an inode is to be checked; asked for every name
   * @param goesOn - asked now and then within a large file; false gives it up. `isMostlyHole`: most of what was passed of
   *   it takes no block
   * @param checked - told of each; false ends the walk
   */
  check(options: {
    readonly isWanted: (inode: number) => boolean;
    readonly goesOn: (isMostlyHole: boolean) => boolean;
    readonly checked: (inode: number, outcome: CheckOutcome, sizeBytes: number) => boolean;
    readonly signal: AbortSignal;
  }): Promise<void>;
  /** Runs whose manifest does not have the hash that its receipt says. */
  hurtManifests(signal: AbortSignal): Promise<RunName[]>;
  /** All names of some inodes. */
  namesOf(inodes: ReadonlySet<number>, signal: AbortSignal): Promise<HurtName[]>;
  hurt(): HurtRecord | undefined;
  saveHurt(record: HurtRecord): Promise<void>;
}
