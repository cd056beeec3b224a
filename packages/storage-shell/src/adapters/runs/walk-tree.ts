import { constants, fstatSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DIRENT, FolderHandle, GatheredNames, hasCode, openAt } from '@bakker/linux';
import type { DirectoryListing } from '@bakker/linux';
import { readPieces } from '../tree/list-folder.ts';

/** Something in a tree that is no folder. Good until the call is done. */
export interface TreeEntry {
  readonly folder: FolderHandle;
  readonly name: Buffer;
  /** The name with the NUL behind it, as calls of the kernel take it. */
  readonly cName: Buffer;
  readonly inode: number;
  readonly isFile: boolean;
}

/** What is done with a tree. */
export interface TreeVisitor {
  /** What takes long is waited for; most does not. */
  entry(entry: TreeEntry): void | Promise<void>;
  /** A folder, before what is in it; the tree's own is the first. */
  enter?(folder: FolderHandle): void;
  /** A folder, after what is in it; not called for the tree's own. */
  leave?(parent: FolderHandle, name: Buffer): void;
}

export interface WalkOptions {
  readonly signal: AbortSignal;
  /** Kept up while walking: the names from the tree's top to the folder of the entry. */
  readonly path?: Buffer[];
}

/**
 * Walks a tree on open handles: of any depth, without following symlinks, and wherever its folders are moved meanwhile.
 * What vanishes while it is walked is passed over. What is no folder comes first in each. Memory: the names of the folders that are
 * in those from the top down to where it is; of other names, some thousands.
 *
 * @param root - stays open; just opened, so that it is read from its beginning
 * @throws LibcError; the signal's reason
 */
export async function walkTree(
  root: FolderHandle,
  visitor: TreeVisitor,
  options: WalkOptions,
): Promise<void> {
  const { signal, path = [] } = options;
  path.length = 0;
  const levels: Level[] = [];
  const descend = (folder: FolderHandle, name: Buffer): void => {
    levels.push(openLevel(folder, name));
    const far = levels.length - 1 - OPEN_LEVELS;
    if (far > 0) park(levels[far]);
    visitor.enter?.(folder);
  };
  let stepsThisTurn = 0;
  try {
    descend(root, Buffer.alloc(0));
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      if (++stepsThisTurn > STEPS_A_TURN) {
        stepsThisTurn = 0;
        await nextTurn();
        signal.throwIfAborted();
      }
      const { folder, listing } = level;
      if (folder === undefined) throw new Error('a parked folder was not opened again');
      if (level.next < listing.count) {
        const number = level.next++;
        const kind = listing.type(number);
        if ((kind === DIRENT.DIRECTORY) !== level.isRead) continue;
        if (kind !== DIRENT.DIRECTORY) {
          const entry = new ListedEntry({ folder, listing, number, isFile: kind === DIRENT.FILE });
          const waiting = visitor.entry(entry);
          if (waiting !== undefined) await waiting;
          continue;
        }
        const name = listing.name(number);
        const below = openBelow(folder, name);
        if (below === undefined) continue;
        path.push(name);
        descend(below, name);
        continue;
      }
      if (!level.isRead) {
        readOn(level);
        continue;
      }
      const parent = leave(levels);
      path.pop();
      if (parent !== undefined) visitor.leave?.(parent, level.name);
    }
  } finally {
    for (const { folder } of levels) if (folder !== root) folder?.[Symbol.dispose]();
  }
}

/** One folder on the way down. */
interface Level {
  /** Undefined while it is parked: far above, and closed to keep below the limit of open files. */
  folder: FolderHandle | undefined;
  readonly inode: number;
  readonly name: Buffer;
  /** Ends with the folders that are in it. */
  readonly pieces: Generator<DirectoryListing, DirectoryListing | undefined>;
  /** The names that are looked at: a piece, then the folders. */
  listing: DirectoryListing;
  /** Number of the first name in it that was not looked at. */
  next: number;
  /** Whether only the folders are left. */
  isRead: boolean;
}

const STEPS_A_TURN = 4_096;
const OPEN_LEVELS = 64;
const NO_NAMES = new GatheredNames().listing();
const DOT_DOT = Buffer.from('..');
const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY;

class ListedEntry implements TreeEntry {
  readonly folder: FolderHandle;
  readonly isFile: boolean;
  readonly #listing: DirectoryListing;
  readonly #number: number;

  constructor(of: { folder: FolderHandle; listing: DirectoryListing; number: number; isFile: boolean }) {
    this.folder = of.folder;
    this.isFile = of.isFile;
    this.#listing = of.listing;
    this.#number = of.number;
  }

  get name(): Buffer {
    return this.#listing.name(this.#number);
  }

  get cName(): Buffer {
    return this.#listing.cName(this.#number);
  }

  /** Exact up to 2^53; no file system has that many inodes. */
  get inode(): number {
    return Number(this.#listing.inode(this.#number));
  }
}

function openLevel(folder: FolderHandle, name: Buffer): Level {
  const pieces = readPieces(folder);
  return { folder, inode: fstatSync(folder.fd).ino, name, pieces, listing: NO_NAMES, next: 0, isRead: false };
}

function readOn(level: Level): void {
  const { done = false, value } = unlessGone(level.pieces);
  level.listing = value ?? NO_NAMES;
  level.next = 0;
  level.isRead = done;
}

/** A folder that somebody else removed while it was open has no names any more. */
function unlessGone<Piece>(
  pieces: Iterator<Piece, Piece | undefined>,
): IteratorResult<Piece, Piece | undefined> {
  try {
    return pieces.next();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { done: true, value: undefined };
    throw error;
  }
}

function openBelow(folder: FolderHandle, name: Buffer): FolderHandle | undefined {
  try {
    return new FolderHandle(openAt({ folder, name }, { flags: FOLDER_FLAGS }));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

function park(far: Level | undefined): void {
  far?.folder?.[Symbol.dispose]();
  if (far !== undefined) far.folder = undefined;
}

/** Ends the last level; the handle of the one above it. */
function leave(levels: Level[]): FolderHandle | undefined {
  const done = levels.pop();
  const parent = levels.at(-1);
  if (parent === undefined || done === undefined) return undefined;
  try {
    parent.folder ??= openParent(done.folder, parent.inode);
  } finally {
    done.folder?.[Symbol.dispose]();
  }
  return parent.folder;
}

function openParent(folder: FolderHandle | undefined, inode: number): FolderHandle {
  if (folder === undefined) throw new Error('a folder was left before it was opened again');
  const parent = new FolderHandle(openAt({ folder, name: DOT_DOT }, { flags: FOLDER_FLAGS }));
  if (fstatSync(parent.fd).ino === inode) return parent;
  parent[Symbol.dispose]();
  throw new Error('a folder was moved out of the tree while it was walked');
}
