import {
  DIRENT,
  DirectoryListing,
  fail,
  GatheredNames,
  LibcError,
  libc,
  makeSymlinkAt,
  openFolderBeneath,
  readSymlinkAt,
  type FolderHandle,
} from '@bakker/linux';
import { ITSELF, useOf } from './inode-use.ts';
import {
  noTotals,
  type FolderJob,
  type FolderTotals,
  type FullFile,
  type GrownFolder,
  type MadeInodes,
  type Measures,
} from './folder-job.ts';
import { readPieces } from './list-folder.ts';
import { sizeAt } from './found-name.ts';

const FOLDER_MODE = 0o700;
const SLASH = Buffer.from('/');
const NO_NAMES = new GatheredNames().listing();
const EPERM = 1;
const EEXIST = 17;
const EMLINK = 31;
const EOPNOTSUPP = 95;
/** So many are told at once. */
const FULL_BATCH = 500;
/** So many inodes are told at once. */
const MADE_BATCH = 256;
/** So many names are done before others may have their turn: some milliseconds. */
const NAMES_A_STEP = 512;

export interface FolderWalkOptions {
  readonly parent: FolderHandle;
  readonly run: FolderHandle;
  readonly hurtInodes: ReadonlySet<bigint>;
  readonly measures: Measures;
  /** What an empty folder takes; undefined if nobody wants to know what folders grow to. */
  readonly emptyFolderBytes: number | undefined;
  /** Asked before each name and each folder. */
  isStopped(): boolean;
  /** Whether another thread waits for work; if so, it is promised some. */
  claimWanted(): boolean;
  share(job: FolderJob): void;
  /** Told of files that have to be copied; may block while too many wait for that. */
  full(group: number, files: readonly FullFile[]): void;
  /** Told of a folder of the run that takes more than an empty one, when names were made in it. */
  grown(folder: GrownFolder): void;
  /** Told of inodes that were made, again and again. */
  made(made: MadeInodes): void;
}

/** A folder that is being gone through: names before `next` are done, those from `to` on are somebody else's. */
interface Frame {
  readonly path: Buffer;
  readonly listing: DirectoryListing;
  next: number;
  to: number;
}

/**
 * Does the jobs of one thread: links the files of a folder, makes its folders, then goes down into each. Holds two
 * descriptors, and the names of the folders in those above the one it is in: other names only by some thousands.
 */
export class FolderWalk {
  readonly #options: FolderWalkOptions;
  #totals = noTotals();
  #made = { directories: 0, symlinks: 0, symlinkBytes: 0 };
  #full: FullFile[] = [];
  #place: Uint8Array = Buffer.alloc(0);

  constructor(options: FolderWalkOptions) {
    this.#options = options;
  }

  /** The folder that was last entered, for messages. */
  get place(): Uint8Array {
    return this.#place;
  }

  /** @throws LibcError; EEXIST for a name that the run has already */
  do(job: FolderJob): FolderTotals {
    const steps = this.steps(job);
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value;
    }
  }

  /** The same, a few hundred names or a folder a step; one job must be ended before the next. @throws as `do` */
  *steps(job: FolderJob): Generator<undefined, FolderTotals> {
    this.#totals = noTotals();
    try {
      yield* this.#walk(job);
    } finally {
      // What was made before it failed is there all the same.
      this.#tellMade(1);
    }
    return this.#totals;
  }

  *#walk(job: FolderJob): Generator<undefined, void> {
    const frames = [yield* this.#start(job)];
    for (;;) {
      const frame = frames.at(-1);
      if (frame === undefined || this.#options.isStopped()) break;
      const number = nextFolder(frame);
      if (number === undefined) {
        frames.pop();
        continue;
      }
      frame.next = number + 1;
      frames.push(yield* this.#enter(job, below(frame.path, frame.listing.name(number))));
      this.#shareIfWanted(job, frames);
      yield;
    }
    this.#tellFull(job.group);
  }

  *#start(job: FolderJob): Generator<undefined, Frame> {
    const path = Buffer.from(job.path);
    this.#place = path;
    const frame = { path, listing: new DirectoryListing(job.listing), next: job.from, to: job.to };
    if (job.isBegun) return frame;
    using parent = openFolderBeneath(this.#options.parent, path);
    yield* this.#names(job, frame, parent);
    return frame;
  }

  *#enter(job: FolderJob, path: Buffer): Generator<undefined, Frame> {
    this.#place = path;
    using parent = openFolderBeneath(this.#options.parent, path);
    const pieces = readPieces(parent);
    for (;;) {
      const { done, value: listing } = pieces.next();
      const frame = { path, listing: listing ?? NO_NAMES, next: 0, to: listing?.count ?? 0 };
      if (done === true) return frame;
      yield* this.#names(job, frame, parent);
    }
  }

  /** Does the names of a folder themselves; what is in the folders among them comes later. */
  *#names(job: FolderJob, frame: Frame, parent: FolderHandle): Generator<undefined, void> {
    const { next, to } = frame;
    if (next === to) return;
    using run = job.kind === 'count' ? null : openFolderBeneath(this.#options.run, frame.path);
    for (let from = next; ; from += NAMES_A_STEP) {
      const part = { ...frame, next: from, to: Math.min(to, from + NAMES_A_STEP) };
      if (run === null) this.#count(part, parent);
      else this.#keep(job, { frame: part, parent, run });
      if (part.to === to) return;
      yield;
    }
  }

  #count({ listing, next, to }: Frame, parent: FolderHandle): void {
    for (let number = next; number < to && !this.#options.isStopped(); number++) {
      if (listing.type(number) !== DIRENT.FILE) continue;
      this.#totals.seenFiles++;
      this.#measure('dropped', parent, listing.cName(number));
    }
  }

  #measure(as: Measures, parent: FolderHandle, name: Buffer): void {
    if (as === this.#options.measures) this.#totals.bytes += sizeAt(parent.fd, name) ?? 0;
  }

  #keep(
    job: FolderJob,
    { frame, parent, run }: { frame: Frame; parent: FolderHandle; run: FolderHandle },
  ): void {
    const { listing, next, to } = frame;
    try {
      for (let number = next; number < to && !this.#options.isStopped(); number++) {
        switch (listing.type(number)) {
          case DIRENT.FILE:
            this.#file(job, { frame, number, parent, run });
            break;
          case DIRENT.DIRECTORY:
            this.#folder(listing.cName(number), run);
            break;
          case DIRENT.SYMLINK:
            this.#symlink(listing.cName(number), parent, run);
            break;
        }
      }
    } finally {
      this.#measureFolder(run);
      this.#tellMade(MADE_BATCH);
    }
  }

  #tellMade(least: number): void {
    const made = this.#made;
    if (made.directories + made.symlinks < least) return;
    this.#made = { directories: 0, symlinks: 0, symlinkBytes: 0 };
    this.#options.made(made);
  }

  #measureFolder(run: FolderHandle): void {
    const { emptyFolderBytes } = this.#options;
    const use = emptyFolderBytes === undefined ? undefined : useOf(run, ITSELF);
    if (use === undefined || use.bytes <= (emptyFolderBytes ?? 0)) return;
    this.#options.grown({ inode: use.inode, bytes: use.bytes });
  }

  #file(
    job: FolderJob,
    { frame, number, parent, run }: { frame: Frame; number: number; parent: FolderHandle; run: FolderHandle },
  ): void {
    const { listing, path } = frame;
    const totals = this.#totals;
    const { hurtInodes } = this.#options;
    totals.seenFiles++;
    const name = listing.cName(number);
    if (hurtInodes.size > 0 && hurtInodes.has(listing.inode(number))) {
      this.#measure('dropped', parent, name);
      return;
    }
    const linked = libc().linkat(parent.fd, name, run.fd, name, 0);
    const errno = linked < 0 ? libc().errno() : 0;
    if (errno !== 0 && errno !== EMLINK && errno !== EPERM)
      throw linkError(errno, path, listing.name(number));
    if (errno === 0) {
      totals.files++;
      this.#measure('kept', parent, name);
      return;
    }
    const inode = listing.inode(number);
    const sizeBytes = sizeAt(parent.fd, name) ?? 0;
    this.#full.push({ folder: copyOf(path), name: copyOf(listing.name(number)), inode, sizeBytes });
    if (this.#full.length >= FULL_BATCH) this.#tellFull(job.group);
  }

  #folder(name: Buffer, run: FolderHandle): void {
    if (libc().mkdirat(run.fd, name, FOLDER_MODE) === 0) {
      this.#totals.directories++;
      this.#made.directories++;
    } else if (libc().errno() !== EEXIST) fail('mkdirat', name.subarray(0, -1));
  }

  #symlink(name: Buffer, parent: FolderHandle, run: FolderHandle): void {
    if (libc().linkat(parent.fd, name, run.fd, name, 0) < 0) {
      const errno = libc().errno();
      const plain = name.subarray(0, -1);
      if (errno !== EMLINK && errno !== EPERM && errno !== EOPNOTSUPP) throw linkError(errno, plain);
      const target = readSymlinkAt({ folder: parent, name: plain });
      if (target === undefined) throw linkError(errno, plain);
      makeSymlinkAt({ folder: run, name: plain }, target);
      this.#made.symlinks++;
      this.#made.symlinkBytes += useOf(run, name)?.bytes ?? 0;
    }
    this.#totals.symlinks++;
  }

  #tellFull(group: number): void {
    if (this.#full.length === 0) return;
    this.#options.full(group, this.#full);
    this.#full = [];
  }

  /** Gives half of what remains of the topmost folder with something to give: the largest piece that is known. */
  #shareIfWanted(job: FolderJob, frames: readonly Frame[]): void {
    for (const frame of frames) {
      const middle = (frame.next + frame.to + 1) >>> 1;
      if (frame.to - middle < 1 || !hasFolder(frame, middle)) continue;
      if (!this.#options.claimWanted()) return;
      this.#options.share({
        group: job.group,
        kind: job.kind,
        path: copyOf(frame.path),
        listing: frame.listing.memory,
        from: middle,
        to: frame.to,
        isBegun: true,
      });
      frame.to = middle;
      return;
    }
  }
}

function nextFolder({ listing, next, to }: Frame): number | undefined {
  for (let number = next; number < to; number++) {
    if (listing.type(number) === DIRENT.DIRECTORY) return number;
  }
  return undefined;
}

function hasFolder(frame: Frame, from: number): boolean {
  return nextFolder({ ...frame, next: from }) !== undefined;
}

/** The path of a name in a folder; an empty folder is the top. */
export function below(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? Buffer.from(name) : Buffer.concat([folder, SLASH, name]);
}

/** In memory of its own: what is sent to another thread is sent with all the memory that it is a part of. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function linkError(errno: number, ...path: readonly Buffer[]): LibcError {
  return new LibcError('linkat', errno, path.length === 1 ? path[0] : below(path[0]!, path[1]!));
}
