import { closeSync, constants, ftruncateSync, fstatSync, openSync, writeSync } from 'node:fs';
import type { Entry } from '@bakker/impl-format';
import { baseName, comparePaths, isBelow, parentPath } from '@bakker/impl-format';
import {
  errnoOf,
  linkAt,
  makeFolderAt,
  makeNode,
  makeSymlinkAt,
  openFolderBeneath,
  reflink,
  renameNewAt,
  renameOverAt,
} from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { isMetadataEqual } from '../../backup/compare.ts';
import { AgentError } from '../../errors.ts';
import type { Attributes } from '../../ports/restore-target.ts';
import type { OpenSourceFile, SourceProblem, SourceRules } from '../../ports/source-tree.ts';
import { showPath } from '../../source/show-path.ts';
import { openSourceTree } from '../local-source-tree.ts';
import { setAttributes } from '../restore/attributes.ts';
import { viewBelow } from '../source/source-view.ts';
import type { CopyHome } from './copy-home.ts';
import { isCurrent, readRows, RowWriter } from './copy-state.ts';
import type { CopyRow } from './copy-state.ts';
import { Cursor } from './cursor.ts';

export interface CopyTask {
  readonly home: CopyHome;
  /** `reflink`: the copy shares the blocks of what it copies. */
  readonly by: 'reflink' | 'copy';
  /** Where the file system is mounted. */
  readonly mountPoint: Buffer;
  /** All on this file system. */
  readonly sources: readonly SourceRules[];
  /** What an earlier pass wrote, and what this one is to write: see copy-state.ts. */
  readonly stateBefore: Buffer;
  readonly stateAfter: Buffer;
  readonly signal: AbortSignal;
}

export interface CopyOutcome {
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  readonly problems: readonly SourceProblem[];
  readonly problemCount: number;
}

/**
 * Makes the copy say what the sources say now. What did not change since an earlier pass stays as it is, its inode and
 * times too, so that a later run finds it unchanged. May be cut off anywhere: the next pass makes it good. Holds a batch
 * of each listing, and the hard-linked files whose other names are still to come.
 *
 * @throws AgentError SNAPSHOT_FAILED, SOURCE_SUSPICIOUS; the errno error
 */
export async function bringUpToDate(task: CopyTask): Promise<CopyOutcome> {
  const pass = new CopyPass(task);
  try {
    await pass.run();
    return pass.outcome();
  } finally {
    pass[Symbol.dispose]();
  }
}

/** Told of one by one; more are only counted. */
const MOST_PROBLEMS = 1_000;
const ATTEMPTS = 3;
const ROOM_CHECK_BYTES = 64 * 2 ** 20;
/** A file written so shortly before may be written again within the same tick of the clock. */
const RACY_NS = 2_000_000_000n;
/** Of hard-linked files whose other names are still to come; the oldest is given up, and its names become two files. */
const MOST_GROUPS = 262_144;
const EMPTY = Buffer.alloc(0);

interface OpenFolder {
  /** Relative to the copy; empty for its root. */
  readonly path: Buffer;
  readonly live: Entry | undefined;
  isTouched: boolean;
}

interface LinkGroup {
  readonly path: Buffer;
  readonly copyInode: bigint;
  namesLeft: number;
}

class CopyPass implements Disposable {
  readonly #task: CopyTask;
  readonly #live = openSourceTree();
  readonly #copy: ReturnType<typeof openSourceTree>;
  readonly #rows: RowWriter;
  readonly #problems: SourceProblem[] = [];
  #problemCount = 0;
  readonly #folders: OpenFolder[] = [];
  #parent: { path: Buffer; handle: FolderHandle } | undefined;
  readonly #groups = new Map<bigint, LinkGroup>();
  #files = 0;
  #bytes = 0;
  #uncheckedBytes = 0;
  /** Last of the names that were thrown away, with all below it: the listing may still go on in there. */
  #thrown: Buffer | undefined;

  constructor(task: CopyTask) {
    this.#task = task;
    this.#copy = openSourceTree(viewBelow(task.home.at('tree')));
    this.#rows = new RowWriter(task.stateAfter);
  }

  outcome(): CopyOutcome {
    return {
      copiedFiles: this.#files,
      copiedBytes: this.#bytes,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  async run(): Promise<void> {
    const { signal, sources, stateBefore, home } = this.#task;
    const onProblem = (problem: SourceProblem): void => {
      if (problem.kind !== 'skipped' && problem.kind !== 'changing') this.#problem(problem);
    };
    const livePlan = { sources, onProblem };
    const liveSurvey = await this.#live.survey(livePlan);
    const all: SourceRules = {
      path: Buffer.from('/'),
      excludes: [],
      oneFilesystem: false,
      honourMarkers: false,
    };
    // What this pass throws away may vanish while it is listed.
    const copyPlan = { sources: [all], onProblem: () => undefined };
    const copySurvey = await this.#copy.survey(copyPlan);
    await using live = new Cursor(this.#live.scan(livePlan, liveSurvey, { signal }));
    await using copies = new Cursor(this.#copy.scan(copyPlan, copySurvey, { signal }));
    await using rows = new Cursor(readRows(stateBefore));
    home.checkRoom();
    this.#folders.push({ path: EMPTY, live: undefined, isTouched: false });
    for (;;) {
      const entry = await live.peek();
      const path = entry === undefined ? undefined : this.#below(entry.path);
      if (entry !== undefined && path === undefined) {
        live.take(); // a folder above
        continue;
      }
      if (entry !== undefined && path?.length === 0) {
        this.#folders[0] = { path: EMPTY, live: entry, isTouched: true };
        live.take();
        continue;
      }
      await this.#removeUntil(path, copies);
      if (entry === undefined || path === undefined) break;
      live.take();
      const copy = await takeAt(copies, path);
      const row = await takeAt(rows, path);
      this.#leaveUnless(path);
      await this.#visit({ path, live: entry, copy, row });
    }
    this.#leaveUnless(undefined);
    await this.#rows.end();
  }

  [Symbol.dispose](): void {
    this.#parent?.handle[Symbol.dispose]();
    this.#rows.discard();
    this.#live.close();
    this.#copy.close();
  }

  /** Undefined for what lies above the mount point. */
  #below(path: Buffer): Buffer | undefined {
    const above = this.#task.mountPoint.length - 1;
    if (above === 0) return path;
    if (path.length < above) return undefined;
    return path.length === above ? EMPTY : path.subarray(above + 1);
  }

  /** What the copy has before `path` is not there any more. */
  async #removeUntil(path: Buffer | undefined, copies: Cursor<Entry>): Promise<void> {
    for (let copy = await copies.peek(); copy !== undefined; copy = await copies.peek()) {
      if (path !== undefined && comparePaths(copy.path, path) >= 0) return;
      copies.take();
      if (this.#thrown !== undefined && isBelow(copy.path, this.#thrown)) continue;
      this.#leaveUnless(copy.path);
      this.#throwAway(copy.path);
    }
  }

  async #visit(found: {
    path: Buffer;
    live: Entry;
    copy: Entry | undefined;
    row: CopyRow | undefined;
  }): Promise<void> {
    const { path, live, row } = found;
    let { copy } = found;
    if (copy !== undefined && (copy.type === 'directory') !== (live.type === 'directory')) {
      this.#throwAway(path);
      copy = undefined;
    }
    if (live.type === 'directory') {
      const isTouched = copy === undefined || !isMetadataEqual(live, copy);
      if (copy === undefined) {
        makeFolderAt({ folder: this.#parentOf(path), name: baseName(path) }, 0o700);
        this.#touchParent();
      }
      this.#folders.push({ path, live, isTouched });
    } else if (live.type === 'file') {
      const isKept = copy !== undefined && row !== undefined && isCurrent(row, live, copy);
      await this.#file(path, live, { copy, kept: isKept ? row : undefined });
    } else if (copy === undefined || !isSameNode(live, copy)) this.#node(path, live);
  }

  async #file(
    path: Buffer,
    live: Entry,
    { copy, kept }: { copy: Entry | undefined; kept: CopyRow | undefined },
  ): Promise<void> {
    const group = live.linkCount > 1 ? this.#groups.get(live.inode) : undefined;
    if (group !== undefined) {
      if (copy?.inode !== group.copyInode) this.#link(path, group);
      if (--group.namesLeft === 0) this.#groups.delete(live.inode);
      await this.#rows.write(rowOf(path, live, group.copyInode));
      return;
    }
    if (kept !== undefined) {
      this.#startGroup(path, live, kept.copyInode);
      await this.#rows.write(kept);
      return;
    }
    const made = await this.#copyFile(path, live);
    if (made === undefined) {
      if (copy !== undefined) this.#throwAway(path);
      return;
    }
    this.#startGroup(path, made.entry, made.copyInode);
    if (made.isSettled) await this.#rows.write(rowOf(path, made.entry, made.copyInode));
  }

  /** Undefined if it could not be read. */
  async #copyFile(
    path: Buffer,
    live: Entry,
  ): Promise<{ entry: Entry; copyInode: bigint; isSettled: boolean } | undefined> {
    const { home } = this.#task;
    for (let attempt = 1; ; attempt++) {
      const name = home.newName();
      let fd: number | undefined;
      try {
        await using file = this.#live.openFile(live);
        const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
        fd = openSync(home.fresh.at(name), flags, 0o600);
        await this.#content(file, fd);
        const isSame = file.isUnchanged();
        // A clone is of one moment even if the file has gone on since; a copy that was read meanwhile is of none.
        if (!isSame && attempt < ATTEMPTS) {
          this.#remove(name);
          continue;
        }
        const { entry } = file;
        if (!isSame && this.#task.by === 'copy') {
          this.#problem({
            path: live.path,
            kind: 'changing',
            code: 'changing',
            message: 'it changed each time it was copied; the copy may be torn',
          });
        }
        setAttributes(
          { path: home.fresh.at(name), fd, type: 'file', mayCarryMore: true },
          attributesOf(entry),
        );
        const copyInode = fstatSync(fd, { bigint: true }).ino;
        renameOverAt({ folder: home.fresh, name }, { folder: this.#parentOf(path), name: baseName(path) });
        this.#touchParent();
        this.#files++;
        this.#bytes += entry.sizeBytes;
        return { entry, copyInode, isSettled: isSame && !isRacy(entry) };
      } catch (error) {
        this.#remove(name);
        this.#unreadable(live, error);
        return undefined;
      } finally {
        if (fd !== undefined) closeSync(fd);
      }
    }
  }

  async #content(file: OpenSourceFile, fd: number): Promise<void> {
    if (reflink(file.descriptor, fd)) return;
    if (this.#task.by === 'reflink') throw new CannotShare(file.entry.path);
    for await (const { offsetBytes, bytes } of file.pieces()) {
      for (let at = 0; at < bytes.length;)
        at += writeSync(fd, bytes, at, bytes.length - at, offsetBytes + at);
      this.#uncheckedBytes += bytes.length;
      if (this.#uncheckedBytes < ROOM_CHECK_BYTES) continue;
      this.#uncheckedBytes = 0;
      this.#task.home.checkRoom();
      this.#task.signal.throwIfAborted();
    }
    ftruncateSync(fd, file.entry.sizeBytes);
  }

  #node(path: Buffer, live: Entry): void {
    const { home } = this.#task;
    const name = home.newName();
    const { type } = live;
    if (type === 'symlink') makeSymlinkAt({ folder: home.fresh, name }, live.target ?? EMPTY);
    else if (type === 'file' || type === 'directory') throw new Error(`${type} is no node`);
    else makeNode(home.fresh.at(name), { type, mode: 0o600, ...(live.device && { device: live.device }) });
    setAttributes({ path: home.fresh.at(name), type, mayCarryMore: false }, attributesOf(live));
    renameOverAt({ folder: home.fresh, name }, { folder: this.#parentOf(path), name: baseName(path) });
    this.#touchParent();
  }

  #link(path: Buffer, group: LinkGroup): void {
    const { home } = this.#task;
    const name = home.newName();
    using folder = openFolderBeneath(home.tree, parentPath(group.path));
    linkAt({ folder, name: baseName(group.path) }, { folder: home.fresh, name });
    renameOverAt({ folder: home.fresh, name }, { folder: this.#parentOf(path), name: baseName(path) });
    this.#touchParent();
  }

  #startGroup(path: Buffer, { linkCount, inode }: Entry, copyInode: bigint): void {
    if (linkCount < 2) return;
    this.#groups.set(inode, { path, copyInode, namesLeft: linkCount - 1 });
    if (this.#groups.size <= MOST_GROUPS) return;
    for (const oldest of this.#groups.keys()) {
      this.#groups.delete(oldest);
      return;
    }
  }

  #throwAway(path: Buffer): void {
    const { home } = this.#task;
    this.#thrown = path;
    renameNewAt(
      { folder: this.#parentOf(path), name: baseName(path) },
      { folder: home.trash, name: home.newName() },
    );
    this.#touchParent();
  }

  #remove(name: Buffer): void {
    const { fresh } = this.#task.home;
    try {
      renameNewAt({ folder: fresh, name }, { folder: this.#task.home.trash, name });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  #touchParent(): void {
    const folder = this.#folders.at(-1);
    if (folder !== undefined) folder.isTouched = true;
  }

  /** Ends the folders that `path` is not in: only then do they keep their times. */
  #leaveUnless(path: Buffer | undefined): void {
    for (let folder = this.#folders.at(-1); folder !== undefined; folder = this.#folders.at(-1)) {
      if (path !== undefined && (folder.path.length === 0 || isBelow(path, folder.path))) return;
      this.#folders.pop();
      if (!folder.isTouched || folder.live === undefined) continue;
      using handle = openFolderBeneath(this.#task.home.tree, folder.path);
      const subject = { path: handle.at(Buffer.from('.')), fd: handle.fd, mayCarryMore: true };
      setAttributes({ ...subject, type: 'directory' }, attributesOf(folder.live));
    }
  }

  #parentOf(path: Buffer): FolderHandle {
    const parent = parentPath(path);
    if (this.#parent?.path.equals(parent) === true) return this.#parent.handle;
    this.#parent?.handle[Symbol.dispose]();
    this.#parent = undefined;
    const handle = openFolderBeneath(this.#task.home.tree, parent);
    this.#parent = { path: parent, handle };
    return handle;
  }

  #unreadable(live: Entry, error: unknown): void {
    const code = errnoOf(error);
    if (error instanceof CannotShare) {
      throw new AgentError('SNAPSHOT_FAILED', `${showPath(live.path)} can't share its blocks with a copy`, {
        hint: 'choose another "snapshot"',
      });
    }
    if (code === undefined) throw error;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new AgentError('SNAPSHOT_FAILED', `no room for the copy of ${showPath(live.path)} (${code})`, {
        hint: 'make room, or choose another "snapshot"',
        cause: error,
      });
    }
    if (code === 'ENOENT' || code === 'ESTALE') return; // it went away meanwhile
    this.#problem({ path: live.path, kind: 'unreadable', code, message: 'it could not be copied' });
  }

  #problem(problem: SourceProblem): void {
    this.#problemCount++;
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push(problem);
  }
}

class CannotShare extends Error {
  override readonly name = 'CannotShare';

  constructor(path: Buffer) {
    super(showPath(path));
  }
}

/** The item at exactly this path, if it is there; those before it are passed over. */
async function takeAt<Item extends { readonly path: Buffer }>(
  cursor: Cursor<Item>,
  path: Buffer,
): Promise<Item | undefined> {
  for (let item = await cursor.peek(); item !== undefined; item = await cursor.peek()) {
    const order = comparePaths(item.path, path);
    if (order > 0) return undefined;
    cursor.take();
    if (order === 0) return item;
  }
  return undefined;
}

function isSameNode(live: Entry, copy: Entry): boolean {
  return (
    live.type === copy.type &&
    (live.target === undefined || copy.target?.equals(live.target) === true) &&
    live.device?.major === copy.device?.major &&
    live.device?.minor === copy.device?.minor &&
    isMetadataEqual(live, copy)
  );
}

function isRacy({ ctimeNs }: Entry): boolean {
  return BigInt(Date.now()) * 1_000_000n - ctimeNs < RACY_NS;
}

function rowOf(path: Buffer, live: Entry, copyInode: bigint): CopyRow {
  const { inode, ctimeNs, mtimeNs, sizeBytes } = live;
  return { path, inode, ctimeNs, mtimeNs, sizeBytes, copyInode };
}

function attributesOf({ uid, gid, mode, mtimeNs, acl, xattrs = [] }: Entry): Attributes {
  return { uid, gid, mode, mtimeNs, acl, xattrs };
}
