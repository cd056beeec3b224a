import type { Extent } from '@bakker/impl-format';
import type {
  FileSink,
  LinkOutcome,
  NewFile,
  OlderFile,
  PatchSink,
  Space,
  StoredItem,
  StoredPiece,
} from '../../ports/storage-account.ts';

/** An older file by its path in the store. */
export type OlderFileAt = Omit<OlderFile, 'place'> & { readonly path: Buffer };

/** What a name in the store is. */
export interface StoredStat {
  readonly type: StoredItem['type'];
  readonly sizeBytes: number;
  readonly mtimeS: number;
}

/**
 * A folder tree reached by simple requests on byte paths below the account's folder; nothing of ours runs behind it.
 * Requests may overlap; a folder can be used as soon as `mkdir` was called. Errors: AgentError STORAGE_REFUSED,
 * STORAGE_FULL, CONNECTION_LOST; MissingFromStorage where an object is not there.
 */
export interface FileStore extends AsyncDisposable {
  readonly address: string;
  /** Longest path below the account's folder that the store takes. */
  readonly maxPathBytes: number;
  readonly features: {
    readonly fsync: boolean;
    readonly serverSideCopy: boolean;
    readonly hardLinks: boolean;
    readonly atomicRename: boolean;
  };
  /** Undefined when more requests may be made at once. */
  ready(): Promise<void> | undefined;
  mkdir(path: Buffer): Promise<void>;
  rmdir(path: Buffer): Promise<void>;
  link(existing: Buffer, path: Buffer): Promise<LinkOutcome>;
  symlink(path: Buffer, target: Buffer): Promise<void>;
  readlink(path: Buffer): Promise<Buffer>;
  /** A new file; fails if the name is taken. */
  writeFile(path: Buffer, content: Buffer, about: NewFile): Promise<void>;
  /** `expectedBytes`, if it is known to be little, spares a connection made for content. */
  openFile(path: Buffer, about: NewFile, expectedBytes?: number): Promise<FileSink>;
  /**
   * A new file that takes from an older one. Undefined if that is not there, is not what it must be, or nothing can be
   * copied here.
   */
  openFileFrom(path: Buffer, older: OlderFileAt, about: NewFile): Promise<PatchSink | undefined>;
  /** As `RunWriter.readBack`, there where the files lie on this machine. */
  readBack?(older: OlderFileAt): Promise<AsyncGenerator<StoredPiece> | undefined>;
  /** A small file whole. `sizeBytes` is what is expected; a longer file is read on, a missing one is MissingFromStorage. */
  readFile(path: Buffer, sizeBytes: number): Promise<Buffer>;
  /** A file from the start to its end, in order; `expectedBytes` as for `openFile`. */
  readStream(path: Buffer, expectedBytes?: number): AsyncGenerator<Buffer>;
  readExtents(path: Buffer, extents: readonly Extent[]): AsyncGenerator<StoredPiece>;
  list(path: Buffer): AsyncGenerator<readonly StoredItem[]>;
  lstat(path: Buffer): Promise<StoredStat | undefined>;
  /** Fails if the new name is taken. */
  renameNew(from: Buffer, to: Buffer): Promise<void>;
  /** Replaces what has the new name in one step. */
  renameOver(from: Buffer, to: Buffer): Promise<void>;
  remove(path: Buffer): Promise<void>;
  /** Brings a file, or a folder's names, to the disk; quietly nothing where the store has no way to. */
  flush(path: Buffer): Promise<void>;
  /** Brings everything written so far to the disk where one request can do that; once that failed, it fails for good. */
  flushAll(): Promise<void>;
  space(): Promise<Space | undefined>;
}

const SLASH = 0x2f;

/** `folder/path`; one alone if the other is empty. Called for every file: written out, it is quicker than `Buffer.concat`. */
export function joinPath(folder: Buffer, path: Buffer): Buffer {
  if (path.length === 0) return folder;
  if (folder.length === 0) return path;
  const isRoot = folder.length === 1 && folder[0] === SLASH;
  const start = isRoot ? 1 : folder.length + 1;
  const joined = Buffer.allocUnsafe(start + path.length);
  joined.set(folder);
  joined[start - 1] = SLASH;
  joined.set(path, start);
  return joined;
}
