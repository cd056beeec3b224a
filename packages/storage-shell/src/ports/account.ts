import type {
  BeginReply,
  Freeze,
  ListReply,
  ListRequest,
  PublishReply,
  PublishRequest,
  RunName,
  UsageReply,
  VerdictsReply,
  VerdictsRequest,
} from '@bakker/impl-format/storage';
import type { Attributes, FileSystemStatus, NamedItem } from '@bakker/sftp/server';
import type { SpaceGuard } from './space-guard.ts';

/**
 * One account, as a session sees it. Paths are bytes below the account's folder, already checked to stay there; symlinks
 * are not followed, whatever lies in the way. All calls fail with StorageError or an errno's error. Disposing lets go of
 * everything; what was begun stays as it is, for the next session.
 */
export interface Account extends AsyncDisposable {
  readonly name: string;
  /** Longest path in a run that can be stored, wherever the run's folder is moved. */
  readonly maxPathBytes: number;
  /** The random name of the account, made at the first call if the session may write. */
  identity(): string;
  /** The text of `.bakker/agent.yaml`. */
  agentConfig(): string | null;
  frozen(): Freeze | null;
  list(request: ListRequest): ListReply;
  /** What retention and scrub say of the complete runs, and their figures. */
  verdicts(request: VerdictsRequest): Promise<VerdictsReply>;
  /** What deleting runs would free. */
  usage(runs: readonly RunName[]): Promise<UsageReply>;
  readonly space: SpaceGuard;
  readonly reader: AccountReader;
  /** Takes the account's lock and makes a new run's folder. @throws StorageError LOCKED, PARENT_CHANGED */
  begin(parent: RunName | null): Promise<NewRun>;
}

/** Reading what is there. */
export interface AccountReader {
  /** What `latest` points at, if that is a complete run. */
  latest(): RunName | undefined;
  /** Of the path itself. */
  attributes(path: Buffer): Attributes;
  /** What a symlink says. */
  readlink(path: Buffer): Buffer;
  openFile(path: Buffer): OpenFile;
  openFolder(path: Buffer): OpenFolder;
  /** A whole file. @throws StorageError FAILED if it is longer than `maxBytes` */
  get(path: Buffer, maxBytes: number): Buffer;
  /**
   * A whole file into `room`, which must be fresh.
   * @returns its bytes; undefined, and nothing is read, if it is longer than the room
   */
  getInto(path: Buffer, room: Buffer): number | undefined;
  fileSystem(): FileSystemStatus;
}

export interface OpenFile {
  attributes(): Attributes;
  /** Fewer bytes than asked, or none, at the end. */
  read(offsetBytes: number, lengthBytes: number): Buffer;
  close(): void;
}

export interface OpenFolder {
  attributes(): Attributes;
  /** The next names that `isListed` lets pass, at most `count`; undefined after the last. Holds no more than these. */
  next(count: number, isListed: (name: Buffer) => boolean): NamedItem[] | undefined;
  close(): void;
}

/** What is said of a file when it is stored. */
export interface NewFile {
  readonly mtimeNs: bigint;
  readonly isExecutable: boolean;
  /** To be on the disk before it is acknowledged. */
  readonly flush: boolean;
}

/** A small file to be stored. */
export interface PutFile {
  readonly path: Buffer;
  readonly content: Buffer;
  readonly about: NewFile;
}

/** A file that the account has already. */
export interface StoredFile {
  /** Name of a complete run, this run's token, or a carried one. */
  readonly folder: string;
  readonly path: Buffer;
}

/** The run that a session has begun. Nothing of it reaches what is outside of its folder. */
export interface NewRun {
  readonly begun: BeginReply;
  /**
   * Stores small files: all of them, or none.
   *
   * @param files - at least one
   * @param memory - all buffers of `files` are views of it; it is taken away from the caller
   * @returns SHA-256 of what was stored of each, one behind the other
   * @throws StorageError NAME_TAKEN, FULL, QUOTA
   */
  put(files: readonly PutFile[], memory: ArrayBuffer): Promise<Buffer>;
  /** Opens a large one. */
  create(path: Buffer, expectedBytes: number): Promise<NewLargeFile>;
  /**
   * Opens a new one that begins as a copy of the first bytes of a stored file, or shares its blocks.
   *
   * @throws StorageError NOT_FOUND if there is no such file, or not all of it is known to be there; NAME_TAKEN, FULL, QUOTA
   */
  cloneFile(source: StoredFile, path: Buffer, mostBytes: number): Promise<NewLargeFile>;
  /** @param script - body of the verb `tree`. @returns its outcomes, encoded */
  tree(script: Buffer): Promise<Buffer>;
  /** @param kind - of MANIFEST_PIECE, with START_OVER added or not. Pieces may be given without waiting for those before. */
  manifest(kind: number, content: Buffer): Promise<void>;
  /** @throws StorageError COUNTS_DIFFER, MANIFEST_DAMAGED, OUT_OF_ORDER; the run can still be mended and published */
  publish(request: PublishRequest): Promise<PublishReply>;
  abandon(): Promise<void>;
  /** After a publish: removes what was carried over. */
  cleanUp(): Promise<void>;
}

/** A large file of the new run under construction. */
export interface NewLargeFile {
  write(offsetBytes: number, bytes: Buffer): void;
  /** Makes a stretch read as zeros, and take no space. @throws StorageError UNSUPPORTED where the file system can't */
  hole(offsetBytes: number, lengthBytes: number): void;
  /** Cuts it, or lets it grow by a hole. */
  resize(sizeBytes: number): void;
  attributes(): Attributes;
  flush(): void;
  /** Empties it, to be written anew. */
  restart(): void;
  /** Removes it. */
  discard(): void;
  /** @returns SHA-256 of what was stored */
  finish(sizeBytes: number, about: NewFile): Promise<Buffer>;
}
