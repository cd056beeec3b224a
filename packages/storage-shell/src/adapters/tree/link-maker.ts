import { baseName, parentPath, type TreeFailureReason, type TreeLink } from '@bakker/impl-format/storage';
import {
  cString,
  DIRENT,
  hasCode,
  linkAt,
  makeSymlinkAt,
  openFolderBeneath,
  readSymlinkAt,
  type FolderHandle,
  type Place,
} from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import type { RunFolders } from '../account/run-folders.ts';
import { statAt, type FoundName } from './found-name.ts';
import type { FullInodes } from './full-inodes.ts';
import { isStoredWhole } from './stored-whole.ts';

/** What became of a link: what was made, or why nothing. */
export type LinkResult =
  | { readonly made: 'file' | 'symlink'; readonly sizeBytes: number }
  | { readonly made: 'nothing'; readonly reason: TreeFailureReason };

export interface LinkMakerOptions {
  readonly runFolders: RunFolders;
  /** The folder of a complete run, or of a token; empty for the parent. */
  readonly resolveFolder: (name: string) => FolderHandle | undefined;
  /** How far the files of a folder can be taken for what was stored; see `Trust`. */
  readonly trust: (name: string) => Trust;
  readonly hurtInodes: ReadonlySet<bigint>;
  readonly fullInodes: FullInodes;
  /** Told of a symlink that is an inode of its own, for the other takes no more names. */
  readonly madeSymlink: (place: Place) => void;
  /** Throws when nobody waits for a link any more. */
  readonly check: () => void;
}

/**
 * `complete`: of a run that was published: all of it was stored. `unfinished`: of this session, or of one that was cut off,
 * while it stored or copied something; that can still be written to. `doubtful`: the machine was started anew since,
 * and what was not flushed may have been lost: only a file's own hash tells.
 */
export type Trust = 'complete' | 'unfinished' | 'doubtful';

/** Makes single links, from anywhere in the account. Keeps the folder of the last one open. */
export class LinkMaker implements Disposable {
  readonly #options: LinkMakerOptions;
  #last: { readonly root: FolderHandle; readonly path: Buffer; readonly handle: FolderHandle } | undefined;

  constructor(options: LinkMakerOptions) {
    this.#options = options;
  }

  /** @throws LibcError `ENOSPC`, `EIO`, …: what is no matter of this one link */
  async link({ path, folder, from }: TreeLink): Promise<LinkResult> {
    const root = this.#options.resolveFolder(folder);
    if (root === undefined) return nothing('absent');
    try {
      const source = { folder: this.#folder(root, parentPath(from)), name: baseName(from) };
      const found = statAt(source.folder.fd, cString(source.name));
      if (found === undefined) return nothing('absent');
      if (found.type !== DIRENT.FILE && found.type !== DIRENT.SYMLINK) return nothing('refused');
      if (this.#options.hurtInodes.has(found.inode)) return nothing('hurt');
      if (found.type === DIRENT.FILE && !(await this.#isWhole(folder, source, found)))
        return nothing('absent');
      return await this.#make({ source, found, path, root, from });
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === undefined) throw error;
      return nothing(reason);
    }
  }

  [Symbol.dispose](): void {
    this.#last?.handle[Symbol.dispose]();
    this.#last = undefined;
  }

  async #isWhole(folder: string, source: Place, { isWritable }: FoundName): Promise<boolean> {
    const trust = this.#options.trust(folder);
    if (trust === 'complete') return true;
    if (isWritable) return false;
    return trust === 'unfinished' || (await isStoredWhole(source, this.#options.check));
  }

  async #make(link: {
    source: Place;
    found: FoundName;
    path: Buffer;
    root: FolderHandle;
    from: Buffer;
  }): Promise<LinkResult> {
    const { source, found, path, root, from } = link;
    const place = { folder: this.#options.runFolders.ensure(parentPath(path)), name: baseName(path) };
    const isFile = found.type === DIRENT.FILE;
    try {
      linkAt(source, place);
    } catch (error) {
      if (isFile && hasCode(error, 'EMLINK')) {
        const { inode } = found;
        await this.#options.fullInodes.place({ path, inode, source: { folder: root, path: from } });
      } else if (!isFile && hasCode(error, 'EMLINK', 'EPERM', 'ENOTSUP')) {
        const target = readSymlinkAt(source);
        if (target === undefined) return nothing('absent');
        makeSymlinkAt(place, target);
        this.#options.madeSymlink(place);
      } else throw error;
    }
    return isFile ? { made: 'file', sizeBytes: found.sizeBytes } : { made: 'symlink', sizeBytes: 0 };
  }

  #folder(root: FolderHandle, path: Buffer): FolderHandle {
    if (this.#last?.root === root && this.#last.path.equals(path)) return this.#last.handle;
    const handle = openFolderBeneath(root, path);
    this[Symbol.dispose]();
    this.#last = { root, path: Buffer.from(path), handle };
    return handle;
  }
}

function nothing(reason: TreeFailureReason): LinkResult {
  return { made: 'nothing', reason };
}

/** Why this one link could not be made; undefined for what concerns more than it. */
function reasonOf(error: unknown): TreeFailureReason | undefined {
  if (hasCode(error, 'ENOENT', 'ENOTDIR')) return 'absent';
  // A symlink in the way, a way out, a taken name, a file that may not be linked (immutable, not the account's own).
  if (hasCode(error, 'ELOOP', 'EXDEV', 'EEXIST', 'EPERM', 'EACCES')) return 'refused';
  return error instanceof StorageError && error.code === 'NAME_TAKEN' ? 'refused' : undefined;
}
