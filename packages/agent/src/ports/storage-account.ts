import type { Extent, ManifestFollower, ObjectCounts, RunName, RunVerdict } from '@bakker/impl-format';

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
  /** Whether a name of any bytes survives, and is not taken for another. */
  readonly anyBytesInNames: boolean;
  /** The storage's clock less this machine's, rounded to a second by SFTP's times; undefined where it can't be seen. */
  readonly clockSkewMs?: number;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly freeInodes: number | undefined;
  /** What the account itself may take, has taken and has asked for, where the storage keeps count. */
  readonly limitBytes?: number;
  readonly usedBytes?: number;
  readonly requestedBytes?: number;
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

/**
 * How a link went: `missing` when the old name is not there, `hurt` when its content is known to be damaged, `refused` when
 * it can't be linked (65,000 links, no hard links).
 */
export type LinkOutcome = 'linked' | 'missing' | 'hurt' | 'refused';

export interface NewFile {
  /** Unix seconds. */
  readonly mtimeS: number;
  readonly executable: boolean;
  /** To be on the disk before it is acknowledged, where the storage can do that. */
  readonly flush?: boolean;
  /** The time to the nanosecond, for a storage that can keep it. */
  readonly mtimeNs?: bigint;
  /** Of the content, if it is known, for a storage that tells what it stored. */
  readonly sha256?: Buffer;
  /** What is going to be written of a large file, holes left out, as far as it is known before it is read. */
  readonly expectedBytes?: number;
}

/** What is read of a large file. */
export interface WantedContent {
  /** Ascending. */
  readonly extents: readonly Extent[];
  /** That the content has by the manifest: one that turns out to be longer, where that shows, is refused. */
  readonly sizeBytes: number;
}

/** A large file under way. */
export interface FileSink extends AsyncDisposable {
  /** Resolves when the sink can take more; the bytes are the sink's from here on. */
  write(offsetBytes: number, bytes: Buffer): Promise<void>;
  /** Forgets what was written, to start over with other content. */
  restart(): Promise<void>;
  /** Sets the length, flushes and checks it, and the content by its hash where that is told. After it the file is acknowledged. */
  finish(sizeBytes: number, sha256?: Buffer): Promise<void>;
  /** Gives the file up: nothing of it stays in the run. */
  discard(): Promise<void>;
  /**
   * Shares the blocks of an open file of this machine, where the storage is on the same file system.
   *
   * @returns a descriptor of what is in the run now, which the source's owner cannot change; undefined if it can't
   */
  share?(descriptor: number): number | undefined;
}

/**
 * A large file that is made from an older one of the account, which stays as it is. Stretches that nobody speaks of are
 * zeros. At first they come in ascending order; then any may be written over.
 */
export interface PatchSink extends FileSink {
  /** Takes a stretch of the older file over, to the same place. Comes before anything is said of what is behind it. */
  keep(offsetBytes: number, lengthBytes: number): Promise<void>;
  /** Makes a stretch read as zeros, as a hole if it can. */
  zero(offsetBytes: number, lengthBytes: number): Promise<void>;
  /** Whether what was kept takes no room of its own, as far as can be told. */
  readonly isShared: boolean;
}

/** A file of a complete run. */
export interface OlderFile {
  readonly place: StoredPlace;
  /** What it must have there. */
  readonly sizeBytes: number;
  /** What it must begin with, if that matters. */
  readonly begins?: Buffer | undefined;
}

/** A piece of a stored file. */
export interface StoredPiece {
  readonly offsetBytes: number;
  readonly bytes: Buffer;
}

/** The older file can't be taken from after all: the new one has to be sent whole. */
export class NotPatched extends Error {
  override readonly name = 'NotPatched';
  /** Whether it is the same for every other file: the storage can't do it. */
  readonly isForAll: boolean;

  constructor(message: string, { isForAll, cause }: { isForAll: boolean; cause?: unknown }) {
    super(message, { cause });
    this.isForAll = isForAll;
  }
}

export interface PublishOptions {
  /** The compressed manifest from its start, at each call. */
  readonly manifest: () => AsyncIterable<Uint8Array>;
  readonly manifestSizeBytes: number;
  readonly receipt: Omit<Receipt, 'token'>;
  /** What the run's folder must hold. */
  readonly objects: ObjectCounts;
  /** The storage can't read the manifest: it goes as it is, whatever the follower was told. */
  readonly isSealed?: boolean;
}

/** What the storage says of a run that it published itself. */
export interface Published {
  /** Of `RUN.impl` as it lies on the storage: it may have been compressed there. */
  readonly manifestSha256: string;
  readonly manifestSizeBytes: number;
  /** Why the storage's retention stands still from now on. */
  readonly frozen: StorageSide['frozen'];
}

/**
 * Takes over what the parent has at the same place, without a request for each. Calls come in path order; what they ask
 * for has happened when the run is published.
 */
export interface Keeper {
  /** Everything of the parent that lies before `path` and was not passed yet is in this run too. */
  keepUntil(path: Buffer): void;
  /** As `keepUntil`; and what the parent has at `path`, and below it, is not in this run. */
  skip(path: Buffer): void;
  /** Everything of the parent that was not passed yet is in this run too. */
  keepRest(): void;
}

/** What a storage knows that looks at its own files. */
export interface ConfirmedParent {
  /** SHA-256 (hex) of its manifest as it lies there now. */
  readonly manifestSha256: string;
  /** Whether any content of it is. */
  readonly hasHurt: boolean;
  /** Whether the stored content at this path is known to be damaged: it is neither kept nor linked. */
  isHurt(path: Buffer): boolean;
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
  /** There where the storage confirms the parent; else it has to be read back. */
  readonly parent?: ConfirmedParent;
  /** There if the storage has a parent to keep from. Objects that are kept need no other call. */
  readonly keeper?: Keeper;
  /** Whether the storage tells the SHA-256 of what it stored, so that a large file's is worth computing. */
  readonly tellsHashes?: boolean;
  /** There if the manifest may be told as it is written, as differences from the parent's. */
  readonly manifestFollower?: ManifestFollower;
  /** Undefined when there is room for more requests; else resolves when there is. Asked before every few entries. */
  ready(): Promise<void> | undefined;
  directory(path: Buffer): Promise<void>;
  /** False where the storage has no symlinks: the manifest alone has it then. */
  symlink(path: Buffer, target: Buffer): Promise<boolean>;
  /** `sizeBytes` is what the stored file must have; checked where an unfinished run's file is linked. */
  link(path: Buffer, from: StoredPlace, sizeBytes: number): Promise<LinkOutcome>;
  file(path: Buffer, content: Buffer, about: NewFile): Promise<void>;
  openFile(path: Buffer, about: NewFile): Promise<FileSink>;
  /**
   * There where new files can be made from older ones. Undefined if this one can't: it is gone, not as long, or the storage
   * does not copy. What it is filled with may throw NotPatched.
   */
  openFileFrom?(path: Buffer, older: OlderFile, about: NewFile): Promise<PatchSink | undefined>;
  /**
   * There where an older file can be read without a line between: its pieces, to make lost fingerprints again. Undefined for
   * one that is not what it should be, or from which a new file would be a copy that takes as much room as one sent whole.
   */
  readBack?(older: OlderFile): Promise<AsyncGenerator<StoredPiece> | undefined>;
  /**
   * Flushed, manifest and receipt in place, renamed, `latest` moved. Every other request must have been answered.
   * @throws RunDiffers if the storage counts other objects than the agent
   */
  publish(options: PublishOptions): Promise<Published | undefined>;
  /** Removes the carried folders, after the publish. What is cut off here is done by a later run. */
  cleanUp(options: { signal: AbortSignal }): Promise<void>;
}

/** A program of ours on the storage: its policy, and what only it can do. */
export interface StorageSide {
  /** `bakker-storage 0.1.0`. */
  readonly program: string;
  readonly account: string;
  readonly role: 'backup' | 'restore';
  /** Whether this server's key may read runs. */
  readonly mayRead: boolean;
  /** Why retention stands still there. */
  readonly frozen: { readonly reason: string; readonly sinceRun: RunName } | undefined;
  /** What it thinks of each complete run; undefined if it is too old to say. */
  verdicts(): Promise<readonly RunVerdict[] | undefined>;
  /** Asks for so much room in all. What is granted at once is told; the rest is up to the administrator. */
  requestSpace(
    bytes: number,
  ): Promise<{ readonly grantedBytes: number; readonly limitBytes: number | undefined }>;
}

export interface BeginOptions {
  readonly nowMs: number;
  /** The run that this one takes over from. A storage with a clock of its own names the run by that. */
  readonly parent?: RunName | undefined;
}

/**
 * One account on a storage. Disposing ends connections; an unpublished run stays as `.incomplete`.
 * Every method may throw AgentError STORAGE_REFUSED, STORAGE_FULL, CONNECTION_LOST.
 */
export interface StorageAccount extends AsyncDisposable {
  /** For messages: `user@host:/path` or a folder. */
  readonly address: string;
  /** Undefined where nothing of ours runs on the storage. */
  readonly side?: StorageSide;
  /** Text of the configuration that the storage's administrator set for this server, if there is one. */
  agentConfig(): Promise<string | undefined>;
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
  /** There where `manifest` and the contents are opened on the way: the bytes of `RUN.impl` as they lie there. */
  storedManifest?(run: RunName): AsyncGenerator<Buffer>;
  /** There, too: whether the run is sealed. What lies open beside it, like its receipt, is the storage's word alone. */
  holdsSealed?(run: RunName): Promise<boolean>;
  /** A small file whole. Rejects with MissingFromStorage if it is not there or not a file. */
  readFile(run: RunName, path: Buffer, sizeBytes: number): Promise<Buffer>;
  /**
   * Several small files whole in one message, there where that can be: in the order asked, of each its content, or what
   * `readFile` would reject with. Together they should have no more than `READ_FILES`; what does not fit comes one by one.
   */
  readFiles?(run: RunName, files: readonly SmallFile[]): Promise<readonly (Buffer | Error)[]>;
  /** A large file's extents in order, in pieces. Rejects like `readFile`; short content ends early. */
  readExtents(run: RunName, path: Buffer, wanted: WantedContent): AsyncGenerator<StoredPiece>;
  /** The names in a folder of a run; the run's own folder for an empty path. Rejects like `readFile`. */
  listFolder(run: RunName, path: Buffer): Promise<readonly StoredItem[]>;
  /**
   * Starts a run after all that are there, or continues: what an unfinished run left is carried over.
   * Also mends what a killed run left half done (a stray manifest, a `latest` that lags behind).
   * @throws AgentError LOCKED while another session writes; ParentChanged if the parent is not there any more
   */
  begin(options: BeginOptions): Promise<RunWriter>;
  /**
   * Renames the run away first, then deletes it; a kill leaves nothing half under a good name.
   * @throws AgentError STORAGE_REFUSED where the storage retires runs itself
   */
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

/** One of the files that are read together. */
export interface SmallFile {
  readonly path: Buffer;
  readonly sizeBytes: number;
}

/** So much one message with many files carries. */
export const READ_FILES = { count: 64, bytes: 160 * 1024 } as const;

/** The storage does not have the parent as it was named. */
export class ParentChanged extends Error {
  override readonly name = 'ParentChanged';
}

/** What lies in the run's folder is not what the agent counted. */
export class RunDiffers extends Error {
  override readonly name = 'RunDiffers';
}

/** What is stored is sealed, and does not open: it was damaged, altered or exchanged. The message says how. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

/** The storage stored other bytes than were sent. */
export class StoredOtherwise extends Error {
  override readonly name = 'StoredOtherwise';
}
