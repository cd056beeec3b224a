/**
 * A piece of work for a thread: names of one folder of the parent, with all that is below them. `keep` makes them in the
 * run, too; `count` only counts their files.
 */
export interface FolderJob {
  /** The script that asked for it. */
  readonly group: number;
  readonly kind: 'keep' | 'count';
  /** The folder in parent and run, where it is there already; empty for the top. */
  readonly path: Uint8Array;
  /** Of a DirectoryListing. */
  readonly listing: SharedArrayBuffer;
  readonly from: number;
  readonly to: number;
  /** Whether another thread has done the names themselves, so that only folders remain to be descended into. */
  readonly isBegun: boolean;
}

/** Inodes of their own that were made beside files. */
export interface MadeInodes {
  directories: number;
  /** Of which the parent's take no more names. */
  symlinks: number;
  /** What these take. */
  symlinkBytes: number;
}

/** What was made, and what of the parent was seen. */
export interface FolderTotals {
  files: number;
  directories: number;
  symlinks: number;
  /** Of files that were linked; or of those that were not, see `ThreadStart.measures`. Copies not included. */
  bytes: number;
  /** Files of the parent, kept or not. */
  seenFiles: number;
}

/** A file of the parent that takes no further link. */
export interface FullFile {
  readonly folder: Uint8Array;
  readonly name: Uint8Array;
  readonly inode: bigint;
  readonly sizeBytes: number;
}

/** A folder of the run that takes more than an empty one. */
export interface GrownFolder {
  readonly inode: number;
  readonly bytes: number;
}

/** An error as it crosses from thread to thread: a call that failed, or what should not happen. */
export type ThreadFailure =
  | { readonly call: string; readonly errno: number; readonly folder: Uint8Array }
  | { readonly message: string };

/**
 * Which files of the parent have to be asked for their sizes: those that are kept; or, where the bytes of all of the
 * parent are known, those that are not, which are few.
 */
export type Measures = 'kept' | 'dropped';

/** What a thread starts with. Descriptors are the process's, and stay open longer than the thread lives. */
export interface ThreadStart {
  readonly parentFd: number;
  readonly runFd: number;
  readonly hurtInodes: ReadonlySet<bigint>;
  readonly measures: Measures;
  readonly emptyFolderBytes: number | undefined;
  /** See `SHARED`. */
  readonly shared: Int32Array<SharedArrayBuffer>;
}

/** Places in `ThreadStart.shared`: how many threads have nothing to do, whether to stop, and how many full files wait. */
export const SHARED = { WANTED: 0, STOP: 1, FULL: 2, COUNT: 3 } as const;

/** So many full files may wait to be copied, with paths of 4 KiB each; who finds more waits, too. */
export const MAX_FULL_FILES = 2000;

export type ThreadAnswer =
  | { readonly kind: 'share'; readonly job: FolderJob }
  | { readonly kind: 'full'; readonly group: number; readonly files: readonly FullFile[] }
  | { readonly kind: 'grown'; readonly folder: GrownFolder }
  | { readonly kind: 'made'; readonly made: MadeInodes }
  | { readonly kind: 'done'; readonly group: number; readonly totals: FolderTotals }
  | { readonly kind: 'failed'; readonly group: number; readonly failure: ThreadFailure }
  | { readonly kind: 'idle' };

export function noTotals(): FolderTotals {
  return { files: 0, directories: 0, symlinks: 0, bytes: 0, seenFiles: 0 };
}
