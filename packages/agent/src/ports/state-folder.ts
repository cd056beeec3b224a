import type { RunName } from '@bakker/impl-format';
import type { BlockPrints } from '../blocks/block-diff.ts';

/** What this server remembers of its last backups, for `status` and guards. */
export interface LastRuns {
  /** Undefined when there never was one. */
  readonly lastSuccess:
    | {
        readonly run: RunName;
        readonly status: 'complete' | 'partial';
        readonly startedAtMs: number;
        readonly finishedAtMs: number;
        /** How much it holds, to tell how far the next one is. */
        readonly held?: { readonly files: number; readonly bytes: number };
        /** How long services stood still; undefined where none did. */
        readonly windowMs?: number;
      }
    | undefined;
  readonly lastAttempt:
    | {
        readonly startedAtMs: number;
        readonly finishedAtMs: number;
        readonly exitStatus: number;
        readonly message: string;
      }
    | undefined;
  /** Of the account that the last success went to. */
  readonly address?: string | undefined;
  /** Why retention stands still; undefined when it does not. */
  readonly frozen:
    | {
        readonly reason: string;
        readonly sinceRun: RunName;
        /** It is the storage's own retention, which only the storage's administrator can let go on. */
        readonly isAtStorage?: boolean;
      }
    | undefined;
  /** The newest run when a person last let retention go on. */
  readonly thawedRun?: RunName;
}

/** Where content that is already in the account lies. */
export interface KnownContent {
  readonly folder: string;
  readonly path: Buffer;
  readonly sha256: Buffer;
  /** Bytes that it has there, if it lies sealed. */
  readonly sealedBytes?: number | undefined;
}

/** What is known of content in the account, by size and hash, and by the inode it was read from. On disk, bounded memory. */
export interface Catalogue extends Disposable {
  /** Whether any content of this size is known: if not, hashing before sending gains nothing. */
  hasSize(sizeBytes: number): boolean;
  byContent(sizeBytes: number, sha256: Buffer): KnownContent | undefined;
  /**
   * Content that was last read from this very inode, and is there still if only names and metadata have changed.
   * @param at - where it would be stored: another ctime is only trusted where that is another place, so that a rename explains it
   */
  byInode(key: InodeKey, at: Buffer): KnownContent | undefined;
  /** Hash of what was last read from an inode of this number, as far as that is known. */
  lastReadFrom(key: Pick<InodeKey, 'filesystem' | 'inode'>): Buffer | undefined;
  /** Content that was read just now: what was read from the inode before is not there any more. */
  add(content: KnownContent & InodeKey): void;
  /** Files may have been read and not been noted here since: none is told by when its inode was made any more. */
  doubtBirths(): void;
  /** The content turned out not to be there. */
  forget(sizeBytes: number, sha256: Buffer): void;
  /** Folders that rows point into: runs, or tokens of unpublished ones. */
  folders(): readonly string[];
  /** The run all of whose content is in here; undefined if none is. */
  covers(): string | undefined;
  setCovers(run: string | undefined): void;
  /** Rows that point into `from` point into `to` from now on: an unfinished run was renamed. */
  renameFolder(from: string, to: string): void;
  forgetFolder(folder: string): void;
  /** Makes everything added so far survive a kill. */
  flush(): void;
}

/**
 * Fingerprints of the blocks of large files, by the content that they are of: they never go with another. On disk; what is
 * in memory is one file's at a time. Bounded; what was not used for the longest time goes first.
 */
export interface BlockMemory extends Disposable {
  /** What fingerprints are made with: 32 random bytes, known to this memory alone. */
  readonly key: Buffer;
  byContent(sizeBytes: number, sha256: Buffer): BlockPrints | undefined;
  /** The content that was last read from an inode. */
  byInode(
    filesystem: Buffer,
    inode: bigint,
  ): { readonly sizeBytes: number; readonly sha256: Buffer } | undefined;
  add(content: {
    readonly sha256: Buffer;
    readonly blocks: BlockPrints;
    readonly filesystem: Buffer;
    readonly inode: bigint;
    /** The content whose place it takes: its fingerprints go when `published` is called. */
    readonly instead: Buffer | undefined;
  }): void;
  forget(sha256: Buffer): void;
  /** What was added is in a run now. */
  published(): void;
}

/**
 * What a file was when it was read. Numbers of inodes are given again, and times can be set: another file with the same
 * number, size and mtime is told by its ctime, or where a rename moved that, by when its inode was made.
 */
export interface InodeKey {
  /** Identity of the file system on this server: its mount point, bytes. */
  readonly filesystem: Buffer;
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** Undefined of content that must not be found by its inode: it could change with its times unchanged. */
  readonly ctimeNs: bigint | undefined;
  readonly bornNs: bigint | undefined;
}

/** A file in the state folder that a manifest is collected in. */
export interface ManifestDraft extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
  /** Reads what was written from the start. */
  read(): AsyncGenerator<Buffer>;
  /** All is written; begins to bring it to the disk, so that `keepAs` need not wait long. */
  flush(): void;
  /** Keeps what was written, as `keepManifest` does; nothing can be written or read any more. @param sha256 - of it (hex) */
  keepAs(run: RunName, about: KeepOptions & { readonly sha256: string }): Promise<void>;
}

/** This machine's memory between runs: `--state DIR`. All of it can be lost without losing a backup. */
export interface StateFolder {
  /** Absolute path. */
  readonly folder: string;
  /** Held until disposed; the kernel drops it when the process dies. @throws AgentError LOCKED with who holds it */
  lock(purpose: string): Promise<Disposable>;
  lastRuns(): Promise<LastRuns>;
  saveLastRuns(last: LastRuns): Promise<void>;
  /** Emptied when `accountId` is not the one that it was filled for. */
  catalogue(accountId: string): Promise<Catalogue>;
  /** Emptied when `accountId` is not the one that it was filled for. */
  blockMemory(accountId: string): Promise<BlockMemory>;
  /** @param kind - there is one of each at a time */
  draft(kind?: 'clear' | 'sealed'): Promise<ManifestDraft>;
  /** The clear manifest of a run that this server wrote or checked; undefined if not kept. */
  keptManifest(run: RunName): Promise<KeptManifest | undefined>;
  /** Runs whose manifests are kept. */
  keptRuns(): Promise<readonly RunName[]>;
  /** Keeps `bytes` as the manifest of `run`, and drops those of other runs. */
  keepManifest(run: RunName, bytes: AsyncIterable<Uint8Array>, about: KeepOptions): Promise<void>;
  /** Drops what is kept of all runs but this one. */
  keepOnly(run: RunName): Promise<void>;
  /** What this server knows of an account that it seals; undefined if nothing, or of another account. */
  sealedAccount(accountId: string): Promise<SealedAccountMemory | undefined>;
  /** Whether it is another account that this server knows to be sealed. */
  hasOtherSealedAccount(accountId: string): Promise<boolean>;
  /** Root-only, on the disk when this resolves. */
  saveSealedAccount(accountId: string, memory: SealedAccountMemory): Promise<void>;
  /** An empty table on disk, gone when it is disposed of. */
  scratch(): Promise<Scratch>;
  /**
   * If `error` says that something kept here is damaged: drops it, as it can be had anew, and says what it was. Undefined for
   * any other error. To be called when nothing of it is in use any more.
   */
  mend(error: unknown): Promise<string | undefined>;
  /** What this folder's disk refused, as an AgentError STATE_UNUSABLE; any other error as it is. */
  explain(error: unknown): unknown;
}

/** What a server must not forget of an account that it seals. */
export interface SealedAccountMemory {
  /** The first sealed run: no later one is clear, but these. */
  readonly since: RunName | undefined;
  /** What was made in the clear since, as somebody meant it. */
  readonly clear: readonly RunName[];
  /** 32 bytes; undefined while names were never hidden. */
  readonly nameKey: Buffer | undefined;
}

/** More than memory should hold, for one run. */
export interface Scratch extends Disposable {
  /** Folders of the parent, to be found by their inode. */
  addFolder(folder: ParentFolder): void;
  folderByInode(filesystem: Buffer, inode: bigint): ParentFolder | undefined;
  /** Paths, to be taken out in the order of paths. */
  addPath(path: Buffer): void;
  paths(): IterableIterator<Buffer>;
}

export interface ParentFolder {
  /** Identity of the file system: its mount point. */
  readonly filesystem: Buffer;
  readonly inode: bigint;
  readonly path: Buffer;
  readonly nameId: Buffer;
}

export interface KeepOptions {
  /** The digest in its trailer (hex). */
  readonly digest: string;
  /** The storage's copy, if it compressed the same text itself; without it, the bytes are the same. */
  readonly stored?: StoredManifest | undefined;
  /** The run may still fail to be published: what is kept of others stays. */
  readonly isPending?: boolean;
}

/** The file `RUN.impl` on the storage. */
export interface StoredManifest {
  readonly sizeBytes: number;
  /** Of the bytes (hex). */
  readonly sha256: string;
}

export interface KeptManifest {
  /** The digest in its trailer (hex). */
  readonly digest: string;
  /** What the storage must have. */
  readonly stored: StoredManifest;
  /** The same text; not always the same bytes. */
  readonly read: () => AsyncGenerator<Buffer>;
}
