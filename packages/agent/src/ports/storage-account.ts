import type { Extent, RunName } from '@bakker/impl-format';

/** A run folder as a listing of the account shows it. */
export interface StoredRun {
  readonly run: RunName;
  readonly state: 'complete' | 'incomplete';
  /** Size of `RUN.impl`; undefined when it is missing. */
  readonly manifestSizeBytes: number | undefined;
}

/** What the agent noted beside a published run, in `.bakker/receipts/RUN.json`. */
export interface Receipt {
  readonly run: string;
  readonly status: 'complete' | 'partial';
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly files: number;
  readonly sourceBytes: number;
  readonly addedBytes: number;
  /** SHA-256 (hex) of the file `RUN.impl` as it lies on the storage. */
  readonly manifestSha256: string;
  /** The digest in that manifest's trailer (hex). */
  readonly manifestDigest: string;
  /** What `RunWriter.folder` was while it was written. */
  readonly token: string;
  /** Why retention should stand still since this run, if a guard said so. */
  readonly frozen?: string;
}

/** What the account can do, tried with real requests. */
export interface Abilities {
  readonly hardLinks: boolean;
  readonly atomicRename: boolean;
  readonly symlinks: boolean;
  readonly fsync: boolean;
  readonly serverSideCopy: boolean;
  /** Whether a name of any bytes survives. */
  readonly anyBytesInNames: boolean;
  /** The storage's clock less this machine's, rounded to a second by SFTP's times; undefined where it can't be seen. */
  readonly clockSkewMs?: number;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly freeInodes: number | undefined;
}

/** One name in a stored folder. */
export interface StoredItem {
  readonly name: Buffer;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly sizeBytes: number;
  /** Undefined where the storage does not tell. */
  readonly linkCount: number | undefined;
  /** Identity of the inode where the storage tells it (local), else undefined. */
  readonly inode: bigint | undefined;
}

/**
 * A file in the account. `folder` is the name of a complete run, or the token of a run that was never published:
 * tokens are random, so that a place noted on the server can never mean another file after a run's name is used again.
 */
export interface StoredPlace {
  readonly folder: string;
  readonly path: Buffer;
}

/** How a link went: `missing` when the old name is not there, `refused` when it can't be linked (65,000 links, no hard links). */
export type LinkOutcome = 'linked' | 'missing' | 'refused';

export interface NewFile {
  /** Unix seconds. */
  readonly mtimeS: number;
  readonly executable: boolean;
  /** To be on the disk before it is acknowledged, where the storage can do that. */
  readonly flush?: boolean;
}

/** A large file under way. */
export interface FileSink extends AsyncDisposable {
  /** Resolves when the sink can take more; the bytes are the sink's from here on. */
  write(offsetBytes: number, bytes: Buffer): Promise<void>;
  /** Forgets what was written, to start over with other content. */
  restart(): Promise<void>;
  /** Sets the length, flushes and checks it. After it the file is acknowledged. */
  finish(sizeBytes: number): Promise<void>;
  /** Gives the file up: nothing of it stays in the run. */
  discard(): Promise<void>;
  /** Shares the blocks of an open file of this machine, where the storage is on the same file system; false if it can't. */
  share?(descriptor: number): boolean;
}

export interface PublishOptions {
  readonly manifest: AsyncIterable<Uint8Array>;
  readonly manifestSizeBytes: number;
  readonly receipt: Omit<Receipt, 'token'>;
}

/** A run being written. Requests of many files are in flight; a folder may be used at once, without waiting for its promise. */
export interface RunWriter extends AsyncDisposable {
  readonly run: RunName;
  /** Token of this run until it is published, for `StoredPlace`. */
  readonly folder: string;
  /** Tokens of unfinished runs whose content may be linked; removed after the publish. */
  readonly carriedFolders: readonly string[];
  /** Longest path, in bytes below the run, that this storage takes. */
  readonly maxPathBytes: number;
  /** Undefined when there is room for more requests; else resolves when there is. Asked before every few entries. */
  ready(): Promise<void> | undefined;
  directory(path: Buffer): Promise<void>;
  /** False where the storage has no symlinks: the manifest alone has it then. */
  symlink(path: Buffer, target: Buffer): Promise<boolean>;
  /** `sizeBytes` is what the content must have; checked where an unfinished run's file is linked. */
  link(path: Buffer, from: StoredPlace, sizeBytes: number): Promise<LinkOutcome>;
  file(path: Buffer, content: Buffer, about: NewFile): Promise<void>;
  openFile(path: Buffer, about: NewFile): Promise<FileSink>;
  /** Flushed, manifest and receipt in place, renamed, `latest` moved. Every other request must have been answered. */
  publish(options: PublishOptions): Promise<void>;
  /** Removes the carried folders, after the publish. What is cut off here is done by a later run. */
  cleanUp(options: { signal: AbortSignal }): Promise<void>;
}

/**
 * One account on a storage. Disposing ends connections; an unpublished run stays as `.incomplete`.
 * Every method may throw AgentError STORAGE_REFUSED, STORAGE_FULL, CONNECTION_LOST.
 */
export interface StorageAccount extends AsyncDisposable {
  /** For messages: `user@host:/path` or a folder. */
  readonly address: string;
  /** Random name of this account, made with its first run: what a server remembers of an account belongs to it alone. */
  identity(): Promise<string>;
  /** Tries what the account can do by a real write, link, rename and delete in `.bakker`. */
  probe(): Promise<Abilities>;
  /** All runs, oldest first. */
  listRuns(): Promise<readonly StoredRun[]>;
  /** What `latest` points at, if it is a complete run. */
  latest(): Promise<RunName | undefined>;
  receipt(run: RunName): Promise<Receipt | undefined>;
  /**
   * The bytes of `RUN.impl`; `expectedBytes` if a listing told them. @throws AgentError MANIFEST_DAMAGED if it is missing
   */
  manifest(run: RunName, expectedBytes?: number): AsyncGenerator<Buffer>;
  /** A small file whole. Rejects with MissingFromStorage if it is not there or not a file. */
  readFile(run: RunName, path: Buffer, sizeBytes: number): Promise<Buffer>;
  /** A large file's extents in order, in pieces. Rejects like `readFile`; short content ends early. */
  readExtents(
    run: RunName,
    path: Buffer,
    extents: readonly Extent[],
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }>;
  /** The names in a folder of a run; the run's own folder for an empty path. Rejects like `readFile`. */
  listFolder(run: RunName, path: Buffer): Promise<readonly StoredItem[]>;
  /**
   * Starts a run after all that are there, or continues: what an unfinished run left is carried over.
   * Also mends what a killed run left half done (a stray manifest, a `latest` that lags behind).
   */
  begin(options: { nowMs: number }): Promise<RunWriter>;
  /** Renames the run away first, then deletes it; a kill leaves nothing half under a good name. */
  removeRun(run: RunName, options: { signal: AbortSignal }): Promise<void>;
  /** Deletes what earlier removals left. */
  emptyTrash(options: { signal: AbortSignal }): Promise<void>;
  /** Undefined where the storage does not tell. */
  space(): Promise<Space | undefined>;
}

/** A stored object that should be there is not, or is of another type. */
export class MissingFromStorage extends Error {
  override readonly name = 'MissingFromStorage';
}
