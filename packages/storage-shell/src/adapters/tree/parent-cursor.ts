import { comparePaths, isBelow } from '@bakker/impl-format/storage';
import { DIRENT, type DirectoryListing, type FolderHandle } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import { below } from './folder-walk.ts';
import { listFolder } from './list-folder.ts';

const SLASH = 0x2f;
/** Of the listings of a folder and those above it: 3 million names of 70 bytes. */
const MOST_LISTED_BYTES = 256 * 1024 * 1024;
/** Where entries lie whose own path the storage does not take: links name them, nothing of it is kept as it is. */
const LONG_PATHS_FOLDER = Buffer.from('.bakker-long-paths');

/** Names of one folder of the parent, by number, with all below them. */
export interface NameRange {
  readonly folder: Buffer;
  readonly listing: DirectoryListing;
  readonly from: number;
  readonly to: number;
}

export interface CursorSink {
  /** They are in the run, too. */
  keep(range: NameRange): void;
  /** They are not. */
  drop(range: NameRange): void;
  /** A folder of the parent that is in the run, before anything in it. */
  folder(path: Buffer): void;
}

interface Frame {
  readonly folder: Buffer;
  readonly listing: DirectoryListing;
  next: number;
}

/**
 * Goes through the parent in the order of paths, and says what of it was kept and what was dropped: each name exactly
 * once. Reads only the folders that a path leads into. Holds their listings, so many bytes at most, and no descriptor.
 */
export class ParentCursor {
  readonly #parent: FolderHandle;
  readonly #sink: CursorSink;
  readonly #mostListedBytes: number;
  /** From the top to the folder that the next name is in; undefined before the first. */
  #frames: Frame[] | undefined;
  #passed: Buffer | undefined;
  #isAtEnd = false;

  constructor(parent: FolderHandle, sink: CursorSink, mostListedBytes = MOST_LISTED_BYTES) {
    this.#parent = parent;
    this.#sink = sink;
    this.#mostListedBytes = mostListedBytes;
  }

  /**
   * Keeps everything before `path`.
   *
   * @throws StorageError OUT_OF_ORDER if `path` lies before the last one, FAILED in a folder of too many names; LibcError
   */
  keepUntil(path: Buffer): void {
    this.#checkOrder(path);
    for (;;) {
      const frames = this.#opened();
      const frame = frames.at(-1)!;
      if (frame.folder.length > 0 && !isBelow(path, frame.folder)) {
        this.#keep(frame, frame.listing.count);
        frames.pop();
        continue;
      }
      const start = frame.folder.length === 0 ? 0 : frame.folder.length + 1;
      const slash = path.indexOf(SLASH, start);
      const name = path.subarray(start, slash < 0 ? path.length : slash);
      const number = frame.listing.lowerBound(name, frame.next);
      this.#keep(frame, number);
      if (slash < 0 || !isNamed(frame, number, name)) return;
      if (frame.listing.type(number) !== DIRENT.DIRECTORY || isLongPaths(frame, number)) {
        this.#keep(frame, number + 1);
        return;
      }
      frame.next = number + 1;
      this.#enter(below(frame.folder, name));
    }
  }

  /** Keeps everything before `path`, and drops what is at it and below it. @throws as `keepUntil` */
  skip(path: Buffer): void {
    this.keepUntil(path);
    const frame = this.#opened().at(-1)!;
    const number = frame.next;
    const name = path.subarray(frame.folder.length === 0 ? 0 : frame.folder.length + 1);
    if (!isNamed(frame, number, name)) return;
    frame.next = number + 1;
    this.#sink.drop({ folder: frame.folder, listing: frame.listing, from: number, to: number + 1 });
  }

  /** Keeps everything that is left. @throws LibcError */
  keepRest(): void {
    if (this.#isAtEnd) return;
    for (const frame of this.#opened().toReversed()) this.#keep(frame, frame.listing.count);
    this.#end();
  }

  /** Drops everything that is left. @throws LibcError */
  dropRest(): void {
    if (this.#isAtEnd) return;
    for (const { folder, listing, next } of this.#opened().toReversed()) {
      this.#sink.drop({ folder, listing, from: next, to: listing.count });
    }
    this.#end();
  }

  #checkOrder(path: Buffer): void {
    if (this.#isAtEnd || (this.#passed !== undefined && comparePaths(path, this.#passed) < 0)) {
      throw new StorageError('OUT_OF_ORDER', `${JSON.stringify(path.toString())} of the parent was passed`);
    }
    this.#passed = Buffer.from(path);
  }

  #opened(): Frame[] {
    if (this.#frames === undefined) {
      this.#frames = [];
      this.#list(Buffer.alloc(0));
    }
    return this.#frames;
  }

  #enter(folder: Buffer): void {
    this.#sink.folder(folder);
    this.#list(folder);
  }

  #list(folder: Buffer): void {
    const heldBytes = this.#opened().reduce((sum, { listing }) => sum + listing.memory.byteLength, 0);
    using listed = listFolder(this.#parent, folder, this.#mostListedBytes - heldBytes);
    this.#opened().push({ folder, listing: listed.listing.sort(), next: 0 });
  }

  #keep(frame: Frame, to: number): void {
    const { folder, listing } = frame;
    let from = frame.next;
    frame.next = Math.max(to, from);
    const longPaths = folder.length === 0 ? listing.lowerBound(LONG_PATHS_FOLDER) : to;
    if (longPaths >= from && longPaths < to && isLongPaths(frame, longPaths)) {
      if (from < longPaths) this.#sink.keep({ folder, listing, from, to: longPaths });
      this.#sink.drop({ folder, listing, from: longPaths, to: longPaths + 1 });
      from = longPaths + 1;
    }
    if (from < to) this.#sink.keep({ folder, listing, from, to });
  }

  #end(): void {
    this.#isAtEnd = true;
    this.#frames = [];
  }
}

function isNamed({ listing }: Frame, number: number, name: Buffer): boolean {
  return number < listing.count && listing.name(number).equals(name);
}

function isLongPaths(frame: Frame, number: number): boolean {
  return frame.folder.length === 0 && isNamed(frame, number, LONG_PATHS_FOLDER);
}
