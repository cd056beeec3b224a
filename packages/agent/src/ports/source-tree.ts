import type { SourceSettings } from '../config/config.ts';
import type { Entry, Extent, FileFacts, SourceFilesystem } from '@bakker/impl-format';

/** Something that a run has to say about one path; the run goes on. */
export interface SourceProblem {
  readonly path: Buffer;
  /**
   * `unreadable`: this run has its entry, which says so. `missing`: this run has nothing of it. `incomplete`: this run has it
   * without its ACLs and attributes. `changing`: read while it changed, kept as it was read. `skipped`: by rule, said once.
   */
  readonly kind: 'unreadable' | 'missing' | 'incomplete' | 'changing' | 'skipped';
  /** errno name, or a short word. */
  readonly code: string;
  readonly message: string;
}

/** What to read: already resolved sources and rules. */
export interface ScanPlan {
  readonly sources: readonly SourceRules[];
  readonly leavesOut?: readonly LeftOutFolder[];
  readonly onProblem: (problem: SourceProblem) => void;
}

/** A folder that is kept without what is in it. Sources in it are read. */
export interface LeftOutFolder {
  /** Absolute. */
  readonly folder: Buffer;
  /** A short word for whose it is. */
  readonly code: string;
  readonly why: string;
  /** Whether it is read all the same where it is a source itself. */
  readonly unlessSource: boolean;
}

/** One source folder (or file) and its rules. */
export interface SourceRules {
  /** Absolute, bytes, no trailing slash; `/` itself is allowed. */
  readonly path: Buffer;
  /** Patterns in gitignore syntax, relative to the source, later ones win. */
  readonly excludes: readonly string[];
  /** Stay on the file system that the source is on. */
  readonly oneFilesystem: boolean;
  /** Leave out folders with a valid CACHEDIR.TAG or a `.nobackup` file (the folder itself and the marker are kept). */
  readonly honourMarkers: boolean;
}

/** The file systems and folders that a scan will read, looked at before it starts. */
export interface SourceSurvey {
  readonly filesystems: readonly SourceFilesystem[];
}

/** A small file read whole. */
export interface WholeFile {
  /** The entry as of this read: refreshed if the file had changed since the scan. */
  readonly entry: Entry;
  /** The logical content, holes as zeros. */
  readonly content: Buffer;
  /** Whether it changed during every reading. */
  readonly isChanging: boolean;
}

/** A small file read whole, with the SHA-256 of what was read. */
export interface HashedFile extends WholeFile {
  readonly sha256: Buffer;
}

/** Reads and hashes small files beside what the caller does. Disposing it waits for what is under way. */
export interface SmallFileReader extends AsyncDisposable {
  /** As `SourceTree.readWhole`. @throws the errno error */
  read(entry: Entry): Promise<HashedFile>;
  /** Takes back content that nobody looks at any more, for other files. */
  recycle(content: Buffer): void;
}

/** A piece of a large file's data; holes are passed over. */
export interface SourcePiece extends Extent {
  readonly bytes: Buffer;
}

/** Pieces of a large file, and its SHA-256. */
export interface HashedPieces extends Disposable {
  /** As `OpenSourceFile.pieces`. */
  pieces(): AsyncGenerator<SourcePiece>;
  /** Of the logical content, when all pieces were taken. @param sizeBytes - of the file: the rest up to it is a hole */
  sha256(sizeBytes: number): Promise<Buffer>;
}

/** A large file held open. */
export interface OpenSourceFile extends AsyncDisposable {
  /** As of the opening. */
  readonly entry: Entry;
  readonly descriptor: number;
  /**
   * The data in ascending order, in pieces of at most 1 MiB; each buffer is the consumer's.
   * @param from - descriptor of a copy of the file, to be read instead; stays open meanwhile
   * @throws the errno error if reading fails
   */
  pieces(from?: number): AsyncGenerator<SourcePiece>;
  /** The same, hashed by the way; there if that goes on beside what the consumer does. */
  hashed?(from?: number): HashedPieces;
  /** Whether size, mtime and ctime are still those of `entry`. */
  isUnchanged(): boolean;
}

/**
 * What an earlier run knew, in manifest order. A scan that passes the same paths need not read attributes again that the
 * times prove unchanged.
 */
export interface EarlierEntries {
  /** The entry at this path if it is at hand; paths are asked for in ascending order. */
  at(path: Buffer): Entry | undefined;
  /**
   * Whether the run's line says of the file at this path just what the scan sees, and nothing can have changed since: then
   * it stands for the file, and the scan yields no entry. Asked in the order of `at`.
   *
   * @param path - in its first `pathBytes` bytes; both are only good until this returns
   */
  take(path: Buffer, pathBytes: number, facts: FileFacts): boolean;
  /** An entry is yielded: what is taken next does not follow what was taken before. */
  interrupt(): void;
  /** A batch ends. */
  endSlice(): void;
  /** Whether what has this ctime cannot have changed since without showing another one. */
  isSettled(ctimeNs: bigint): boolean;
  /** Brings the next entries to hand. */
  refill(): Promise<void>;
}

export interface ScanOptions {
  readonly signal: AbortSignal;
  readonly earlier?: EarlierEntries | undefined;
}

/** The files of this machine, as the scan sees them. */
export interface SourceTree {
  /** Globs resolved to folders and files that are there. @throws AgentError SOURCE_SUSPICIOUS if one finds nothing */
  expand(
    settings: readonly SourceSettings[],
    globalExcludes: readonly string[],
  ): Promise<readonly SourceRules[]>;
  /** @throws AgentError SOURCE_SUSPICIOUS if a source is missing or is no folder or file */
  survey(plan: ScanPlan): Promise<SourceSurvey>;
  /**
   * Every entry of every source, and the folders above them, once, in manifest order, in batches of at most 1,024; without
   * those that `earlier` took. With it, empty batches are yielded too.
   * Holds the names of one folder for each level. File entries have no `sha256` yet.
   */
  scan(plan: ScanPlan, survey: SourceSurvey, options: ScanOptions): AsyncGenerator<readonly Entry[]>;
  /** Reads a file of at most a few MiB; reads again if it changed meanwhile. @throws the errno error */
  readWhole(entry: Entry): WholeFile;
  /** For many small files: as `readWhole` for each, on another thread. */
  openReader(): SmallFileReader;
  /**
   * Looks again, when all was read, whether the sources are there and on the file systems that the survey saw: what was not
   * read yet when one went away would count as deleted.
   *
   * @throws AgentError SOURCE_SUSPICIOUS
   */
  confirm(survey: SourceSurvey): void;
  /** Whether there is a folder at this path (relative to `/`) now. */
  hasFolder(path: Buffer): boolean;
  /** @throws the errno error */
  openFile(entry: Entry): OpenSourceFile;
}
