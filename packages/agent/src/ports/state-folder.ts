import type { RunName } from '@bakker/impl-format';

/** What this server remembers of its last backups, for `status` and guards. */
export interface LastRuns {
  /** Undefined when there never was one. */
  readonly lastSuccess:
    | {
        readonly run: RunName;
        readonly status: 'complete' | 'partial';
        readonly startedAtMs: number;
        readonly finishedAtMs: number;
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
  /** Why retention stands still; undefined when it does not. */
  readonly frozen:
    | {
        readonly reason: string;
        readonly sinceRun: RunName;
        /** It is the storage's own retention, which only the storage's administrator can let go on. */
        readonly isAtStorage?: boolean;
      }
    | undefined;
}

/** Where content that is already in the account lies. */
export interface KnownContent {
  readonly folder: string;
  readonly path: Buffer;
  readonly sha256: Buffer;
}

/** What is known of content in the account, by size and hash, and by the inode it was read from. On disk, bounded memory. */
export interface Catalogue extends Disposable {
  /** Whether any content of this size is known: if not, hashing before sending gains nothing. */
  hasSize(sizeBytes: number): boolean;
  byContent(sizeBytes: number, sha256: Buffer): KnownContent | undefined;
  byInode(key: InodeKey): KnownContent | undefined;
  add(content: KnownContent & InodeKey): void;
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

export interface InodeKey {
  /** Identity of the file system on this server: its mount point, bytes. */
  readonly filesystem: Buffer;
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
}

/** A file in the state folder that a manifest is collected in. */
export interface ManifestDraft extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
  /** Reads what was written from the start. */
  read(): AsyncGenerator<Buffer>;
}

/** This machine's memory between runs: `--state DIR`. All of it can be lost without losing a backup. */
export interface StateFolder {
  /** Held until disposed; the kernel drops it when the process dies. @throws AgentError LOCKED with who holds it */
  lock(purpose: string): Promise<Disposable>;
  lastRuns(): Promise<LastRuns>;
  saveLastRuns(last: LastRuns): Promise<void>;
  /** Emptied when `accountId` is not the one that it was filled for. */
  catalogue(accountId: string): Promise<Catalogue>;
  draft(): Promise<ManifestDraft>;
  /** The clear manifest of a run that this server wrote or checked; undefined if not kept. */
  keptManifest(run: RunName): Promise<KeptManifest | undefined>;
  /** Keeps `bytes` as the manifest of `run`, and drops those of other runs. */
  keepManifest(run: RunName, bytes: AsyncIterable<Uint8Array>, about: KeepOptions): Promise<void>;
}

export interface KeepOptions {
  /** The digest in its trailer (hex). */
  readonly digest: string;
  /** The storage's copy, if it compressed the same text itself; without it, the bytes are the same. */
  readonly stored?: StoredManifest | undefined;
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
