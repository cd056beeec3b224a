import { FolderHandle, hasCode, makeFolderAt, openAt, openFolderBeneath } from '@bakker/linux';
import { constants } from 'node:fs';
import { StorageError } from '../../errors.ts';
import { ITSELF, useOf } from '../tree/inode-use.ts';
import type { Grown } from './folder-charges.ts';

/** Handles kept open: as many as consecutive paths use in turns, few beside a process's limit. */
const MAX_OPEN_FOLDERS = 64;
const FOLDER_MODE = 0o700;
const SLASH = 0x2f;
/** So many names may be made in a folder, and 130 kB of it, before it is looked at. */
const NAMES_A_LOOK = 256;

export interface FolderMaking {
  before(): void;
  after(): void;
  /** Told now and then, and when it is closed, what a folder takes with the names in it. */
  measured?(folder: Grown): void;
}

interface OpenFolder {
  readonly handle: FolderHandle;
  /** How often it was asked for since it was looked at. */
  asked: number;
}

/**
 * The folders of one run that is being written. All who make something in the run ask here for the folder it lies in, so
 * that each folder is opened once for many entries, and counted once, whoever made it.
 */
export class RunFolders implements Disposable {
  /** The run's own folder. */
  readonly root: FolderHandle;
  /** The most recently used last. Keys are paths, each byte one character. */
  readonly #open = new Map<string, OpenFolder>();
  readonly #top: OpenFolder;
  readonly #makes: FolderMaking;
  #directories = 0;
  #lastPath = Buffer.alloc(0);
  #last: OpenFolder;

  /**
   * @param root - stays the caller's
   * @param makes - `before` is told before each folder that may have to be made, and may throw; `after` after each that was
   */
  constructor(root: FolderHandle, makes: FolderMaking = { before: () => undefined, after: () => undefined }) {
    this.root = root;
    this.#makes = makes;
    this.#top = { handle: root, asked: 0 };
    this.#last = this.#top;
  }

  /** Folders that were made below `root`. */
  get directories(): number {
    return this.#directories;
  }

  /**
   * The folder at `path`, made now with all above it if it is not there. The handle is good until the next call.
   *
   * @param path - below the run, checked; empty for the run's folder itself
   * @throws StorageError NAME_TAKEN if something that is no folder lies there or above; LibcError `ENOSPC`, …
   */
  ensure(path: Buffer): FolderHandle {
    if (!path.equals(this.#lastPath)) {
      this.#last = path.length === 0 ? this.#top : this.#find(path);
      this.#lastPath = Buffer.from(path);
    }
    if (this.#last.asked >= NAMES_A_LOOK) this.#measure(this.#last);
    this.#last.asked++;
    return this.#last.handle;
  }

  /** Looks at a folder in which names were made since it was asked for; it may be closed. @throws LibcError */
  measure(path: Buffer): void {
    if (this.#makes.measured === undefined) return;
    const open = path.length === 0 ? this.#top : this.#open.get(path.toString('latin1'));
    if (open !== undefined) {
      this.#measure(open);
      return;
    }
    try {
      using handle = openFolderBeneath(this.root, path);
      this.#measure({ handle, asked: 0 });
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    }
  }

  /** Closes the handles; `root` stays open. */
  [Symbol.dispose](): void {
    this.#measure(this.#top);
    for (const folder of this.#open.values()) this.#close(folder);
    this.#open.clear();
    this.#lastPath = Buffer.alloc(0);
    this.#last = this.#top;
  }

  #measure(folder: OpenFolder): void {
    folder.asked = 0;
    if (this.#makes.measured === undefined) return;
    const use = useOf(folder.handle, ITSELF);
    if (use !== undefined) this.#makes.measured(use);
  }

  #close(folder: OpenFolder): void {
    if (folder.asked > 0) this.#measure(folder);
    folder.handle[Symbol.dispose]();
  }

  #find(path: Buffer): OpenFolder {
    const key = path.toString('latin1');
    const known = this.#open.get(key);
    if (known !== undefined) {
      this.#open.delete(key);
      this.#open.set(key, known);
      return known;
    }
    const { folder, from } = this.#nearest(path);
    return from === 0 && path.includes(SLASH)
      ? (this.#reopen(path) ?? this.#descend(path, { folder, from }))
      : this.#descend(path, { folder, from });
  }

  /** The deepest folder above `path` that is open, and where the rest of the path starts. */
  #nearest(path: Buffer): { folder: OpenFolder; from: number } {
    for (let slash = path.lastIndexOf(SLASH); slash > 0; slash = path.lastIndexOf(SLASH, slash - 1)) {
      const folder = this.#open.get(path.toString('latin1', 0, slash));
      if (folder !== undefined) return { folder, from: slash + 1 };
    }
    return { folder: this.#top, from: 0 };
  }

  /** In one call, if it is there. */
  #reopen(path: Buffer): OpenFolder | undefined {
    try {
      return this.#keep(path, openFolderBeneath(this.root, path));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw refusal(error, path);
    }
  }

  #descend(path: Buffer, start: { folder: OpenFolder; from: number }): OpenFolder {
    let { folder, from } = start;
    while (from <= path.length) {
      const slash = path.indexOf(SLASH, from);
      const end = slash < 0 ? path.length : slash;
      const name = path.subarray(from, end);
      this.#makes.before();
      const place = { folder: folder.handle, name };
      if (makeFolderAt(place, FOLDER_MODE)) {
        folder.asked++;
        this.#directories++;
        this.#makes.after();
      }
      try {
        const fd = openAt(place, { flags: constants.O_RDONLY | constants.O_DIRECTORY });
        folder = this.#keep(path.subarray(0, end), new FolderHandle(fd));
      } catch (error) {
        throw refusal(error, path.subarray(0, end));
      }
      from = end + 1;
    }
    return folder;
  }

  #keep(path: Buffer, handle: FolderHandle): OpenFolder {
    if (this.#open.size >= MAX_OPEN_FOLDERS) {
      for (const [key, oldest] of this.#open) {
        this.#open.delete(key);
        this.#close(oldest);
        break;
      }
    }
    const folder: OpenFolder = { handle, asked: 0 };
    this.#open.set(path.toString('latin1'), folder);
    return folder;
  }
}

function refusal(error: unknown, path: Buffer): unknown {
  if (!hasCode(error, 'ENOTDIR', 'ELOOP')) return error;
  return new StorageError('NAME_TAKEN', `${JSON.stringify(path.toString())} is no folder`, { cause: error });
}
