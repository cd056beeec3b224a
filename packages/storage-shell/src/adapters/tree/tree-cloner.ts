import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  baseName,
  decodeTreeScript,
  parentPath,
  type ObjectCounts,
  type TreeFailure,
  type TreeLink,
  type TreeOperation,
  type TreeOutcome,
  type TreeScript,
} from '@bakker/impl-format/storage';
import { cString, hasCode, makeSymlinkAt, type FolderHandle, type Place } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import type { RunFolders } from '../account/run-folders.ts';
import { useOf } from './inode-use.ts';
import type { FolderJob, FolderTotals, FullFile, GrownFolder, MadeInodes, Measures } from './folder-job.ts';
import { below, copyOf } from './folder-walk.ts';
import { FullInodes } from './full-inodes.ts';
import { LinkMaker, type Trust } from './link-maker.ts';
import { ParentCursor, type NameRange } from './parent-cursor.ts';
import { ScriptGroup } from './script-group.ts';
import { TreeSlices, type FolderCloner } from './tree-slices.ts';
import { TreeThreads } from './tree-threads.ts';

/** After so long, others have their turn. */
const SLICE_MS = 3;
/** With no more than these, threads of their own do not clone folders sooner. */
const FEW_PROCESSORS = 2;

export interface TreeClonerOptions {
  /** Must stay open until the cloner was disposed of. */
  readonly runFolders: RunFolders;
  /** The parent's folder; undefined for a first run. Must stay open until the cloner was disposed of. */
  readonly parent: FolderHandle | undefined;
  /** Of all names of files in the parent, as they were counted when it was published; undefined if nobody knows. */
  readonly parentBytes?: number | undefined;
  /** The folder of a complete run, of this run's token, or of a carried one; undefined if there is none. Stays the caller's. */
  readonly resolveFolder: (name: string) => FolderHandle | undefined;
  /** How far the files of such a folder can be trusted; all of them if left out. */
  readonly trust?: (name: string) => Trust;
  /** Inodes whose stored bytes are known to be damaged. */
  readonly hurtInodes: ReadonlySet<bigint>;
  /** Told the size of a file that is about to be copied, as it takes no more links; may throw to refuse. */
  readonly beforeCopy?: (sizeBytes: number) => void;
  /** That this process may use; by default as many as there are. */
  readonly processors?: number;
  /** Told of folders and symlinks that were made, and what the symlinks take; may throw, and then nothing more is done. */
  readonly made?: (made: MadeInodes) => void;
  /** What an empty folder takes; only then `grown` is told. */
  readonly emptyFolderBytes?: number;
  /** Told of folders that the names in them made larger, again and again; may throw, and then nothing more is done. */
  readonly grown?: (folder: GrownFolder) => void;
}

/** What the scripts made, once `finish` has resolved. Folders that `RunFolders` made are counted there, not here. */
export interface TreeCounts extends ObjectCounts {
  /** Names of files that complete runs have, by keep or by link: what is told moved may be linked to where it was first. */
  readonly keptFiles: number;
  /** Files of the parent that were passed, kept or not; all of them after `finish`. */
  readonly parentFiles: number;
}

/**
 * Makes in a run what `tree` scripts say: what is kept of the parent, links, folders, symlinks. Never follows a symlink.
 * Threads do the bulk where there are processors for them; this one does the rest, in slices of a few milliseconds, so
 * that uploads are served meanwhile.
 * Memory does not grow with the tree, but with the folders that a script's paths lead into: 18 bytes and the name for each name
 * in one and those above it, at most 256 MiB; and with the number of folders in a folder, and those above it.
 */
export class TreeCloner implements AsyncDisposable {
  readonly #options: TreeClonerOptions;
  readonly #trust: (name: string) => Trust;
  readonly #cursor: ParentCursor | undefined;
  readonly #folders: FolderCloner | undefined;
  readonly #links: LinkMaker;
  readonly #fullInodes: FullInodes;
  readonly #groups = new Map<number, ScriptGroup>();
  readonly #counts = { files: 0, directories: 0, symlinks: 0, bytes: 0, keptFiles: 0, parentFiles: 0 };
  readonly #measures: Measures;
  #measuredBytes = 0;
  #keepsAny = false;
  #groupNumber = 1;
  #group = new ScriptGroup(0);
  #script: Promise<void> = Promise.resolve();
  #copying: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: TreeClonerOptions) {
    const { parent, runFolders, resolveFolder, hurtInodes } = options;
    const { beforeCopy = () => undefined, trust = () => 'complete' } = options;
    this.#options = options;
    this.#trust = trust;
    this.#measures = parent === undefined || options.parentBytes === undefined ? 'kept' : 'dropped';
    this.#fullInodes = new FullInodes(runFolders, beforeCopy);
    this.#links = new LinkMaker({
      runFolders,
      resolveFolder: (name) => (name === '' ? parent : resolveFolder(name)),
      trust,
      hurtInodes,
      fullInodes: this.#fullInodes,
      madeSymlink: (place) => this.#madeSymlink(place),
      check: () => this.#check(),
    });
    if (parent === undefined) return;
    this.#cursor = new ParentCursor(parent, {
      keep: (range) => this.#submit('keep', range),
      drop: (range) => this.#submit('count', range),
      folder: (path) => void runFolders.ensure(path),
    });
    const Cloner = (options.processors ?? availableParallelism()) > FEW_PROCESSORS ? TreeThreads : TreeSlices;
    this.#folders = new Cloner({
      parent,
      run: runFolders.root,
      hurtInodes,
      measures: this.#measures,
      emptyFolderBytes: options.emptyFolderBytes,
      done: (group, totals) => this.#done(group, totals),
      shared: (group) => this.#groups.get(group)?.begun(),
      full: (group, files) => this.#full(group, files),
      grown: (folder) => this.#grown(folder),
      made: (made) => this.#made(made),
      failed: (error) => this.#fail(error),
    });
  }

  get counts(): TreeCounts {
    return { ...this.#counts, bytes: this.#counts.bytes + this.#keptBytes };
  }

  /** Of what was kept, without copies that were counted when they were made. */
  get #keptBytes(): number {
    if (this.#measures === 'kept') return this.#measuredBytes;
    // Whoever links all by himself does not rely on what was counted: something of the parent may be gone.
    return this.#keepsAny ? (this.#options.parentBytes ?? 0) - this.#measuredBytes : 0;
  }

  /**
   * Carries out one script, after those before it. Resolves when everything in it is done. After a failure nothing more
   * is done: the run has to be given up.
   *
   * @param script - the body of a `tree` request
   * @throws FormatProblem for a script that can't be read, of which nothing was done; StorageError OUT_OF_ORDER, NAME_TAKEN,
   *   PARENT_CHANGED; LibcError `ENOSPC`, …
   */
  async apply(script: Buffer): Promise<TreeOutcome> {
    const failures: TreeFailure[] = [];
    let unreadable: { readonly error: unknown } | undefined;
    const group = await this.#inTurn(async () => {
      let operations: TreeScript;
      try {
        // Not before its turn: unpacked, hundreds that wait would take hundreds of times their size.
        operations = decodeTreeScript(script);
      } catch (error) {
        unreadable = { error };
        return;
      }
      await this.#perform(operations, failures);
    });
    await this.#settled(group);
    if (unreadable !== undefined) throw unreadable.error;
    return failures;
  }

  /** Counts what no script passed, and says all; to be called when every `apply` has resolved. @throws as `apply` */
  async finish(): Promise<TreeCounts> {
    const group = await this.#inTurn(async () => this.#cursor?.dropRest());
    await this.#settled(group);
    return this.counts;
  }

  /** Nothing new is begun any more, and whoever waits is told so. */
  stop(): void {
    this.#fail(new StorageError('INTERRUPTED', 'the session has ended'));
  }

  /** Stops whatever is under way. When it resolves, nothing is made in the run any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#folders?.[Symbol.asyncDispose]();
    await Promise.allSettled([this.#script, this.#copying]);
    this.#links[Symbol.dispose]();
  }

  /** Begins when the script before was begun, and resolves when all of this one was begun. */
  async #inTurn(begin: () => Promise<void>): Promise<ScriptGroup> {
    const group = new ScriptGroup(this.#groupNumber++);
    const begun = this.#script.then(async () => {
      this.#check();
      this.#groups.set(group.number, group);
      this.#group = group;
      await begin();
    });
    this.#script = begun.catch((error: unknown) => this.#fail(translated(error)));
    await this.#script;
    this.#check();
    return group;
  }

  async #settled(group: ScriptGroup): Promise<void> {
    try {
      await group.settled();
    } finally {
      this.#groups.delete(group.number);
    }
  }

  async #perform(operations: Iterable<TreeOperation>, failures: TreeFailure[]): Promise<void> {
    let sliceEndMs = performance.now() + SLICE_MS;
    let number = 0;
    for (const operation of operations) {
      const waiting = this.#step(operation, number, failures);
      if (waiting !== undefined) await waiting;
      number++;
      const room = this.#folders?.ready();
      if (room !== undefined) await room;
      if (performance.now() < sliceEndMs) continue;
      await nextTurn();
      this.#check();
      sliceEndMs = performance.now() + SLICE_MS;
    }
  }

  #step(operation: TreeOperation, number: number, failures: TreeFailure[]): Promise<void> | undefined {
    switch (operation.kind) {
      case 'keep-until':
        this.#cursor?.keepUntil(operation.path);
        return undefined;
      case 'keep-rest':
        this.#cursor?.keepRest();
        return undefined;
      case 'skip':
        this.#cursor?.skip(operation.path);
        return undefined;
      case 'link':
        return this.#link(operation, number, failures);
      case 'directory':
        this.#options.runFolders.ensure(operation.path);
        return undefined;
      case 'symlink':
        this.#symlink(operation.path, operation.target);
        return undefined;
    }
  }

  async #link(link: TreeLink, number: number, failures: TreeFailure[]): Promise<void> {
    let result = await this.#links.link(link);
    if (result.made === 'nothing' && result.reason === 'absent' && link.folder !== '') {
      // It may be a name of this run that a thread is about to make.
      await Promise.all([...this.#groups.values()].map((group) => group.settled()));
      result = await this.#links.link(link);
    }
    if (result.made === 'nothing') {
      failures.push({ operation: number, reason: result.reason });
      return;
    }
    this.#counts.bytes += result.sizeBytes;
    if (result.made === 'symlink') this.#counts.symlinks++;
    else {
      this.#counts.files++;
      if (this.#trust(link.folder) === 'complete') this.#counts.keptFiles++;
    }
  }

  #symlink(path: Buffer, target: Buffer): void {
    const place = { folder: this.#options.runFolders.ensure(parentPath(path)), name: baseName(path) };
    makeSymlinkAt(place, target);
    this.#counts.symlinks++;
    this.#madeSymlink(place);
  }

  /** A long target takes a block. */
  #madeSymlink({ folder, name }: Place): void {
    const { made } = this.#options;
    if (made === undefined) return;
    made({ directories: 0, symlinks: 1, symlinkBytes: useOf(folder, cString(name))?.bytes ?? 0 });
  }

  #submit(kind: FolderJob['kind'], { folder, listing, from, to }: NameRange): void {
    this.#group.begun();
    if (kind === 'keep') this.#keepsAny = true;
    const group = this.#group.number;
    const path = copyOf(folder);
    this.#folders?.submit({ group, kind, path, listing: listing.memory, from, to, isBegun: false });
  }

  #done(group: number, totals: FolderTotals): void {
    this.#counts.files += totals.files;
    this.#counts.directories += totals.directories;
    this.#counts.symlinks += totals.symlinks;
    this.#measuredBytes += totals.bytes;
    this.#counts.keptFiles += totals.files;
    this.#counts.parentFiles += totals.seenFiles;
    this.#groups.get(group)?.ended();
  }

  #made(made: MadeInodes): void {
    try {
      this.#options.made?.(made);
    } catch (error) {
      this.#fail(error);
    }
  }

  #grown(folder: GrownFolder): void {
    try {
      this.#options.grown?.(folder);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Copies one after the other, so that the names of one inode meet its copy. */
  #full(number: number, files: readonly FullFile[]): void {
    const group = this.#groups.get(number);
    group?.begun();
    this.#copying = this.#copying
      .then(async () => {
        for (const file of files) {
          await this.#placeCopy(file);
          this.#folders?.copied();
        }
        group?.ended();
      })
      .catch((error: unknown) => this.#fail(translated(error)));
  }

  async #placeCopy({ folder, name, inode, sizeBytes }: FullFile): Promise<void> {
    this.#check();
    const { parent } = this.#options;
    if (parent === undefined) throw new Error('names of a parent that is not there');
    const path = below(Buffer.from(folder), Buffer.from(name));
    await this.#fullInodes.place({ path, inode, source: { folder: parent, path } });
    this.#counts.files++;
    this.#counts.keptFiles++;
    if (this.#measures === 'kept') this.#counts.bytes += sizeBytes;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error: translated(error) };
    // What goes beyond a limit must not go on behind the answer that says so.
    this.#folders?.stop();
    for (const group of this.#groups.values()) group.failed(this.#failure.error);
  }
}

function translated(error: unknown): unknown {
  if (hasCode(error, 'EEXIST', 'ENOTDIR', 'ELOOP')) {
    return new StorageError('NAME_TAKEN', 'something is in the way of what is kept of the parent', {
      cause: error,
    });
  }
  if (hasCode(error, 'ENOENT')) {
    return new StorageError('PARENT_CHANGED', 'something of the parent was there and is not any more', {
      cause: error,
    });
  }
  return error;
}
