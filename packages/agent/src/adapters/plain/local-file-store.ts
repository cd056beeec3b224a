import fs from 'node:fs';
import { escapeName } from '@bakker/command-line';
import { AgentError } from '../../errors.ts';
import { MissingFromStorage } from '../../ports/storage-account.ts';
import type {
  FileSink,
  LinkOutcome,
  NewFile,
  PatchSink,
  Space,
  StoredItem,
  StoredPiece,
} from '../../ports/storage-account.ts';
import type { Extent } from '@bakker/impl-format';
import { FilesystemFlush, errnoOf, reflink } from '@bakker/linux';
import type { FileStore, OlderFileAt, StoredStat } from './file-store.ts';
import { joinPath } from './file-store.ts';
import { LocalPatchSink } from './local-patch-sink.ts';
import { LocalSink, writeFully } from './local-sink.ts';

/** PATH_MAX counts the final NUL. */
const PATH_MAX_BYTES = 4095;
const PIECE_BYTES = 1024 * 1024;
const LIST_BATCH = 1024;
/** open(2): a new file without a name, in a folder. Node.js does not name it. */
const O_TMPFILE = 0o20200000;

/** A folder on this machine. Calls are synchronous: for single small requests they are several times quicker than promises. */
export class LocalFileStore implements FileStore {
  readonly address: string;
  readonly maxPathBytes: number;
  readonly features = { fsync: true, serverSideCopy: true, hardLinks: true, atomicRename: true };
  readonly #root: Buffer;
  /** Held open from before anything is written: a later opening would not be told what another was. */
  readonly #folder: number;
  readonly #flush: FilesystemFlush;
  #isClosed = false;

  /** @param folder - absolute, existing */
  constructor(folder: string) {
    this.address = folder;
    this.#root = Buffer.from(folder);
    this.maxPathBytes = PATH_MAX_BYTES - this.#root.length - 1;
    this.#folder = this.#do('open', Buffer.alloc(0), (full) => fs.openSync(full, 'r'));
    this.#flush = new FilesystemFlush(this.#folder);
  }

  ready(): undefined {
    return undefined;
  }

  async mkdir(path: Buffer): Promise<void> {
    this.#do('make the folder', path, (full) => fs.mkdirSync(full, { mode: 0o700 }));
  }

  async rmdir(path: Buffer): Promise<void> {
    this.#do('remove the folder', path, (full) => fs.rmdirSync(full));
  }

  async link(existing: Buffer, path: Buffer): Promise<LinkOutcome> {
    try {
      fs.linkSync(this.#full(existing), this.#full(path));
      return 'linked';
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOENT') return 'missing';
      if (code === 'EMLINK' || code === 'EPERM' || code === 'EXDEV' || code === 'ENOTSUP') return 'refused';
      throw this.#translate(error, 'link', path);
    }
  }

  async symlink(path: Buffer, target: Buffer): Promise<void> {
    this.#do('make the symlink', path, (full) => fs.symlinkSync(target, full));
  }

  async readlink(path: Buffer): Promise<Buffer> {
    return this.#do('read the symlink', path, (full) => fs.readlinkSync(full, { encoding: 'buffer' }));
  }

  async writeFile(path: Buffer, content: Buffer, about: NewFile): Promise<void> {
    this.#do('write', path, (full) => {
      const descriptor = fs.openSync(full, 'wx', modeOf(about));
      try {
        writeFully(descriptor, content, 0);
        fs.futimesSync(descriptor, about.mtimeS, about.mtimeS);
        if (about.flush) fs.fsyncSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  async openFile(path: Buffer, about: NewFile): Promise<FileSink> {
    const descriptor = this.#do('write', path, (full) => fs.openSync(full, 'wx+', modeOf(about)));
    return new LocalSink({
      descriptor,
      about,
      remove: () => this.remove(path),
      translate: (error) => this.#translate(error, 'write', path),
    });
  }

  async openFileFrom(path: Buffer, older: OlderFileAt, about: NewFile): Promise<PatchSink | undefined> {
    const from = this.#openOlder(older);
    if (from === undefined) return undefined;
    try {
      const descriptor = this.#do('write', path, (full) => fs.openSync(full, 'wx', modeOf(about)));
      return this.#do('write', path, () => {
        try {
          return new LocalPatchSink({
            from,
            descriptor,
            about,
            remove: () => this.remove(path),
            translate: (error) => this.#translate(error, 'write', path),
          });
        } catch (error) {
          fs.closeSync(descriptor);
          throw error;
        }
      });
    } catch (error) {
      fs.closeSync(from);
      throw error;
    }
  }

  async readBack(older: OlderFileAt): Promise<AsyncGenerator<StoredPiece> | undefined> {
    const descriptor = this.#openOlder(older);
    if (descriptor === undefined) return undefined;
    try {
      if (!this.#sharesBlocks(descriptor)) return undefined;
    } finally {
      fs.closeSync(descriptor);
    }
    return this.readExtents(older.path, [{ offsetBytes: 0, lengthBytes: older.sizeBytes }]);
  }

  async readFile(path: Buffer, _sizeBytes: number): Promise<Buffer> {
    return this.#do('read', path, (full) => {
      const descriptor = fs.openSync(full, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
      try {
        return fs.readFileSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  async *readStream(path: Buffer): AsyncGenerator<Buffer> {
    yield* this.#pieces(path, undefined);
  }

  async *readExtents(path: Buffer, extents: readonly Extent[]): AsyncGenerator<StoredPiece> {
    for (const extent of extents) {
      let offsetBytes = extent.offsetBytes;
      for await (const bytes of this.#pieces(path, extent)) {
        yield { offsetBytes, bytes };
        offsetBytes += bytes.length;
      }
    }
  }

  async *list(path: Buffer): AsyncGenerator<readonly StoredItem[]> {
    const names = this.#do('list', path, (full) => fs.readdirSync(full, { encoding: 'buffer' }));
    for (let start = 0; start < names.length; start += LIST_BATCH) {
      const items: StoredItem[] = [];
      for (const name of names.slice(start, start + LIST_BATCH)) {
        const stat = this.#do('look at', joinPath(path, name), (full) =>
          fs.lstatSync(full, { bigint: true, throwIfNoEntry: false }),
        );
        if (!stat) continue;
        items.push({
          name,
          type: typeOf(stat),
          sizeBytes: Number(stat.size),
          linkCount: Number(stat.nlink),
          inode: stat.ino,
        });
      }
      yield items;
    }
  }

  async lstat(path: Buffer): Promise<StoredStat | undefined> {
    const stat = this.#do('look at', path, (full) => fs.lstatSync(full, { throwIfNoEntry: false }));
    return stat && { type: typeOf(stat), sizeBytes: stat.size, mtimeS: Math.floor(stat.mtimeMs / 1000) };
  }

  async renameNew(from: Buffer, to: Buffer): Promise<void> {
    this.#do('rename', from, (full) => {
      if (fs.lstatSync(this.#full(to), { throwIfNoEntry: false })) {
        throw Object.assign(new Error(`${escapeName(to)} is there already`), { code: 'EEXIST' });
      }
      fs.renameSync(full, this.#full(to));
    });
  }

  async renameOver(from: Buffer, to: Buffer): Promise<void> {
    this.#do('rename', from, (full) => fs.renameSync(full, this.#full(to)));
  }

  async remove(path: Buffer): Promise<void> {
    this.#do('remove', path, (full) => fs.unlinkSync(full));
  }

  async flush(path: Buffer): Promise<void> {
    this.#do('flush', path, (full) => {
      const descriptor = fs.openSync(full, 'r');
      try {
        fs.fsyncSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  async flushAll(): Promise<void> {
    try {
      await this.#flush.flush();
    } catch (error) {
      throw this.#translate(error, 'flush', Buffer.alloc(0));
    }
  }

  async space(): Promise<Space | undefined> {
    const stat = this.#do('look at', Buffer.alloc(0), (full) => fs.statfsSync(full));
    // a file system that can't say answers zeros, as many of FUSE do
    if (stat.blocks === 0) return undefined;
    return {
      totalBytes: stat.blocks * stat.bsize,
      freeBytes: stat.bavail * stat.bsize,
      freeInodes: stat.files === 0 ? undefined : stat.ffree,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#flush[Symbol.asyncDispose]();
    fs.closeSync(this.#folder);
  }

  /** Undefined if it is not there, or is not what it should be. */
  #openOlder({ path, sizeBytes, begins = Buffer.alloc(0) }: OlderFileAt): number | undefined {
    let descriptor: number;
    try {
      const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
      descriptor = fs.openSync(this.#full(path), flags);
    } catch {
      return undefined;
    }
    const stat = fs.fstatSync(descriptor);
    const start = Buffer.alloc(begins.length);
    if (stat.isFile() && stat.size === sizeBytes) {
      this.#do('read', path, () => fs.readSync(descriptor, start, 0, start.length, 0));
      if (start.equals(begins)) return descriptor;
    }
    fs.closeSync(descriptor);
    return undefined;
  }

  /** Whether a clone of the file takes no room: tried with one that has no name, and is gone at once. */
  #sharesBlocks(descriptor: number): boolean {
    return this.#do('write to', Buffer.alloc(0), (full) => {
      const clone = fs.openSync(full, O_TMPFILE | fs.constants.O_RDWR, 0o600);
      try {
        return reflink(descriptor, clone);
      } finally {
        fs.closeSync(clone);
      }
    });
  }

  async *#pieces(path: Buffer, extent: Extent | undefined): AsyncGenerator<Buffer> {
    const handle = await fs.promises
      .open(this.#full(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
      .catch((error: unknown) => {
        throw this.#translate(error, 'read', path);
      });
    try {
      let positionBytes = extent?.offsetBytes ?? 0;
      let leftBytes = extent?.lengthBytes ?? Number.POSITIVE_INFINITY;
      while (leftBytes > 0) {
        const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, leftBytes));
        const { bytesRead } = await handle
          .read(buffer, 0, buffer.length, positionBytes)
          .catch((error: unknown) => {
            throw this.#translate(error, 'read', path);
          });
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
        positionBytes += bytesRead;
        leftBytes -= bytesRead;
      }
    } finally {
      await handle.close();
    }
  }

  #full(path: Buffer): Buffer {
    return joinPath(this.#root, path);
  }

  #do<T>(what: string, path: Buffer, act: (full: Buffer) => T): T {
    try {
      return act(this.#full(path));
    } catch (error) {
      throw this.#translate(error, what, path);
    }
  }

  #translate(error: unknown, what: string, path: Buffer): unknown {
    const code = errnoOf(error);
    const object = `${this.address}/${escapeName(path)}`;
    if (code === undefined) return error;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') {
      return new MissingFromStorage(`${object} is not there`, { cause: error });
    }
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new AgentError('STORAGE_FULL', `the storage is full: can't ${what} ${object} (${code})`, {
        hint: 'free space there (bakker retention) or enlarge it, then run bakker backup again: it continues',
        cause: error,
      });
    }
    return new AgentError('STORAGE_REFUSED', `can't ${what} ${object} (${code})`, {
      hint:
        code === 'EIO'
          ? 'the disk below it fails: look at its log (dmesg, smartctl -a), and copy the account elsewhere'
          : 'check that the folder belongs to this user and is mounted writable',
      cause: error,
    });
  }
}

/** Read-only from the start: nothing should write to a file that history shares. */
export function modeOf(about: NewFile): number {
  return about.executable ? 0o500 : 0o400;
}

function typeOf(stat: fs.Stats | fs.BigIntStats): StoredItem['type'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'symlink' : 'other';
}
