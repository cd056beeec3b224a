import type { FolderHandle, NameService } from '@bakker/linux';
import { errnoOf, LibcError, listXattrsOf } from '@bakker/linux';
import type { EarlierEntries } from '../../ports/source-tree.ts';
import { readAttributes, type Attributes, type Details } from './describe.ts';
import type { FileStat } from './file-stat.ts';
import type { FilesystemTable } from './filesystem-table.ts';
import { cPathIn } from './folder-frame.ts';

export interface AttributeReaderOptions {
  readonly filesystems: FilesystemTable;
  readonly names: NameService;
  /** What the parent run knew, to leave unchanged attributes unread. */
  readonly earlier?: EarlierEntries | undefined;
  /** Told of what is kept without its attributes. */
  readonly onIncomplete: (path: Buffer, problem: { code: string; message: string }) => void;
}

/** A name that was looked at. */
export interface Seen {
  readonly folder: FolderHandle;
  readonly name: string;
  /** Relative to the root. */
  readonly path: Buffer;
  readonly stat: FileStat;
}

/** Reads the ACLs and extended attributes of what a walk sees, by as few calls as it takes: nearly all files have none. */
export class AttributeReader {
  readonly #options: AttributeReaderOptions;
  /** Devices of file systems that have none. */
  readonly #withoutAny = new Set<number>();
  /** The root with a slash behind, then room for a path. */
  readonly #cPath = Buffer.alloc(PATH_MAX_BYTES + 1);
  readonly #rootBytes: number;

  /** @param root - absolute: what paths are relative to */
  constructor(root: Buffer, options: AttributeReaderOptions) {
    this.#options = options;
    this.#rootBytes = root.length === 1 ? 1 : root.copy(this.#cPath) + 1;
    this.#cPath[this.#rootBytes - 1] = SLASH;
  }

  /** @throws LibcError ENOENT if it is gone by now */
  read(seen: Seen): Attributes & Pick<Details, 'unsettled'> {
    const { folder, name, path, stat } = seen;
    if (this.#withoutAny.has(stat.device)) return {};
    const known = this.#unchanged(seen);
    if (known !== undefined) return known;
    if (this.#hasNone(path)) return {};
    try {
      return readAttributes(cPathIn(folder, name), this.#options.names);
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOTSUP') {
        this.#withoutAny.add(stat.device);
        return {};
      }
      if (code === undefined || code === 'ENOENT') throw error;
      const why = code === 'E2BIG' ? 'are more than a backup takes of one file' : 'could not be read';
      const message = `is kept without its ACLs and extended attributes, which ${why}`;
      this.#options.onIncomplete(path, { code, message });
      // so that the next run reads them again, and says so again
      return { unsettled: true };
    }
  }

  /** The attributes that the parent had, if nothing can have touched them since: any change of them moves the ctime. */
  #unchanged({ path, stat }: Seen): Attributes | undefined {
    const { earlier, filesystems } = this.#options;
    const before = earlier?.at(path);
    if (before?.ctimeNs !== stat.ctimeNs || before.mtimeNs !== stat.mtimeNs || before.type !== stat.type)
      return undefined;
    if (before.unreadable !== undefined || before.unsettled === true) return undefined;
    if (earlier?.isSettled(stat.ctimeNs) !== true) return undefined;
    if (before.inode !== filesystems.identity(stat.device, stat.inode).inode) return undefined;
    return before;
  }

  /**
   * Whether the plain path says so: reaching through the open folder takes twice as long. Of an error nothing is concluded: where
   * somebody swaps a folder for a symlink, the path may lead to another file system by now.
   */
  #hasNone(path: Buffer): boolean {
    const endBytes = this.#rootBytes + path.length;
    if (endBytes >= PATH_MAX_BYTES) return false;
    path.copy(this.#cPath, this.#rootBytes);
    this.#cPath[endBytes] = 0;
    try {
      return listXattrsOf(this.#cPath).length === 0;
    } catch (error) {
      if (error instanceof LibcError) return false;
      throw error;
    }
  }
}

/** The kernel takes no longer paths in one call, the NUL included. */
const PATH_MAX_BYTES = 4096;
const SLASH = 0x2f;
