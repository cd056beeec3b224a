import { type FolderHandle, hasCode, linkAt, openFolderBeneath, type Place } from '@bakker/linux';
import { baseName, parentPath } from '@bakker/impl-format/storage';
import type { RunFolders } from '../account/run-folders.ts';
import { copyFile } from './copy-file.ts';

/** A name to be made in the run, of a file that takes no more links. */
export interface FullName {
  readonly path: Buffer;
  readonly inode: bigint;
  readonly source: { readonly folder: FolderHandle; readonly path: Buffer };
}

/**
 * Copies of inodes that have all the links that the file system allows (65,000 on ext4). Each is copied once in a run; its
 * other names link to the copy, until that is full, too. Remembers one path for each such inode.
 */
export class FullInodes {
  readonly #runFolders: RunFolders;
  readonly #beforeCopy: (sizeBytes: number) => void;
  readonly #copies = new Map<bigint, Buffer>();
  #last: Promise<void> = Promise.resolve();

  constructor(runFolders: RunFolders, beforeCopy: (sizeBytes: number) => void) {
    this.#runFolders = runFolders;
    this.#beforeCopy = beforeCopy;
  }

  /** One after the other. @throws LibcError `EEXIST`, `ENOSPC`; what `beforeCopy` throws */
  async place(name: FullName): Promise<void> {
    const placed = this.#last.then(() => this.#place(name));
    this.#last = placed.catch(() => undefined);
    await placed;
  }

  async #place({ path, inode, source }: FullName): Promise<void> {
    if (this.#linkCopy(inode, path)) return;
    using folder = openFolderBeneath(source.folder, parentPath(source.path));
    await copyFile(
      { folder, name: baseName(source.path) },
      { to: this.#at(path), beforeCopy: this.#beforeCopy, reopen: () => this.#at(path) },
    );
    this.#copies.set(inode, Buffer.from(path));
  }

  #linkCopy(inode: bigint, path: Buffer): boolean {
    const copy = this.#copies.get(inode);
    if (copy === undefined) return false;
    using folder = openFolderBeneath(this.#runFolders.root, parentPath(copy));
    try {
      linkAt({ folder, name: baseName(copy) }, this.#at(path));
      return true;
    } catch (error) {
      // Full in its turn; or, where links are refused altogether, each name gets a copy.
      if (!hasCode(error, 'EMLINK', 'EPERM')) throw error;
      this.#copies.delete(inode);
      return false;
    }
  }

  #at(path: Buffer): Place {
    return { folder: this.#runFolders.ensure(parentPath(path)), name: baseName(path) };
  }
}
