import { FolderHandle, hasCode, makeFolderAt, openAt, openFolderBeneath } from '@bakker/linux';
import { constants } from 'node:fs';
import { StorageError } from '../../errors.ts';

/** Handles kept open: as many as consecutive paths use in turns, few beside a process's limit. */
const MAX_OPEN_FOLDERS = 64;
const FOLDER_MODE = 0o700;
const SLASH = 0x2f;

export interface FolderMaking {
  before(): void;
  after(): void;
}

/**
 * The folders of one run that is being written. All who make something in the run ask here for the folder it lies in, so
 * that each folder is opened once for many entries, and counted once, whoever made it.
 */
export class RunFolders implements Disposable {
  /** The run's own folder. */
  readonly root: FolderHandle;
  /** The most recently used last. Keys are paths, each byte one character. */
  readonly #open = new Map<string, FolderHandle>();
  readonly #makes: FolderMaking;
  #directories = 0;
  #lastPath = Buffer.alloc(0);
  #last: FolderHandle;

  /**
   * @param root - stays the caller's
   * @param makes - told before each folder that may have to be made, and may throw; and after each that was
   */
  constructor(root: FolderHandle, makes: FolderMaking = { before: () => undefined, after: () => undefined }) {
    this.root = root;
    this.#makes = makes;
    this.#last = root;
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
    if (path.equals(this.#lastPath)) return this.#last;
    const found = path.length === 0 ? this.root : this.#find(path);
    this.#lastPath = Buffer.from(path);
    this.#last = found;
    return found;
  }

  /** Closes the handles; `root` stays open. */
  [Symbol.dispose](): void {
    for (const folder of this.#open.values()) folder[Symbol.dispose]();
    this.#open.clear();
    this.#lastPath = Buffer.alloc(0);
    this.#last = this.root;
  }

  #find(path: Buffer): FolderHandle {
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
  #nearest(path: Buffer): { folder: FolderHandle; from: number } {
    for (let slash = path.lastIndexOf(SLASH); slash > 0; slash = path.lastIndexOf(SLASH, slash - 1)) {
      const folder = this.#open.get(path.toString('latin1', 0, slash));
      if (folder !== undefined) return { folder, from: slash + 1 };
    }
    return { folder: this.root, from: 0 };
  }

  /** In one call, if it is there. */
  #reopen(path: Buffer): FolderHandle | undefined {
    try {
      return this.#keep(path, openFolderBeneath(this.root, path));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw refusal(error, path);
    }
  }

  #descend(path: Buffer, start: { folder: FolderHandle; from: number }): FolderHandle {
    let { folder, from } = start;
    while (from <= path.length) {
      const slash = path.indexOf(SLASH, from);
      const end = slash < 0 ? path.length : slash;
      const name = path.subarray(from, end);
      this.#makes.before();
      if (makeFolderAt({ folder, name }, FOLDER_MODE)) {
        this.#directories++;
        this.#makes.after();
      }
      try {
        const fd = openAt({ folder, name }, { flags: constants.O_RDONLY | constants.O_DIRECTORY });
        folder = this.#keep(path.subarray(0, end), new FolderHandle(fd));
      } catch (error) {
        throw refusal(error, path.subarray(0, end));
      }
      from = end + 1;
    }
    return folder;
  }

  #keep(path: Buffer, folder: FolderHandle): FolderHandle {
    if (this.#open.size >= MAX_OPEN_FOLDERS) {
      for (const [key, oldest] of this.#open) {
        this.#open.delete(key);
        oldest[Symbol.dispose]();
        break;
      }
    }
    this.#open.set(path.toString('latin1'), folder);
    return folder;
  }
}

function refusal(error: unknown, path: Buffer): unknown {
  if (!hasCode(error, 'ENOTDIR', 'ELOOP')) return error;
  return new StorageError('NAME_TAKEN', `${JSON.stringify(path.toString())} is no folder`, { cause: error });
}
