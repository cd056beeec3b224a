import type { FilesystemFlush, FolderHandle } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import type { NewLargeFile, PutFile, StoredFile } from '../../ports/account.ts';
import type { SpaceGuard } from '../../ports/space-guard.ts';
import { ContentThread } from '../content/content-thread.ts';
import { packFiles } from '../content/store-files.ts';
import { BLOCK_BYTES, inBlocks } from '../tree/inode-use.ts';
import { isShortOfSpace } from './carried-content.ts';
import type { CarriedContent } from './carried-content.ts';
import { LargeFile } from './large-file.ts';
import type { LinkableFolders } from './linkable-folders.ts';
import { openSource } from './open-source.ts';
import type { RunFolders } from './run-folders.ts';

export interface NewFilesOptions {
  /** The run's folder. */
  readonly root: FolderHandle;
  readonly folders: RunFolders;
  readonly linkable: LinkableFolders;
  readonly carried: CarriedContent;
  readonly flush: FilesystemFlush;
  readonly space: SpaceGuard;
  readonly hurtInodes: ReadonlySet<bigint>;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** Throws where nothing more may be stored. */
  readonly check: () => void;
}

/** Files whose content comes from the client: the new ones of a run. Hashed as they are stored, by threads of their own. */
export class NewFiles implements AsyncDisposable {
  readonly #options: NewFilesOptions;
  readonly #copier = new ContentThread();
  readonly #hasher = new ContentThread();
  readonly #storer = new ContentThread();
  /** Folders of files that are being stored. */
  readonly #growing = new Set<readonly Buffer[]>();
  #files = 0;
  #bytes = 0;

  constructor(options: NewFilesOptions) {
    this.#options = options;
  }

  /** What was stored to its end. */
  get counts(): { readonly files: number; readonly bytes: number } {
    return { files: this.#files, bytes: this.#bytes };
  }

  async put(files: readonly PutFile[], memory: ArrayBuffer): Promise<Buffer> {
    this.#options.check();
    const { root, space, carried, flush } = this.#options;
    const contentBytes = files.reduce((sum, { content }) => sum + content.length, 0);
    const folders = foldersOf(files);
    this.#growing.add(folders);
    try {
      const taken = await this.#makingRoom(contentBytes, () => this.#take(files));
      try {
        this.#options.check();
        const digests = await this.#storer.store({ root: root.fd, memory, table: packFiles(files) });
        this.#files += taken.files;
        this.#bytes += taken.contentBytes;
        flush.wrote(taken.blockBytes);
        return digests;
      } catch (error) {
        // A script may have given second names to those that were stored before one failed: of what a client can bring about
        // at will, nothing is given back.
        if (isShortOfSpace(error)) space.released(taken.blockBytes, taken.files);
        // Its bytes are gone: only who sends them again finds the room.
        await carried.makeRoom(error, contentBytes);
        throw error;
      }
    } finally {
      this.#measure(folders);
    }
  }

  create(path: Buffer, expectedBytes: number): Promise<NewLargeFile> {
    return this.#makingRoom(expectedBytes, () => {
      this.#options.space.check(Math.max(expectedBytes, BLOCK_BYTES));
      return this.#largeFile(path);
    });
  }

  cloneFile(from: StoredFile, path: Buffer, mostBytes: number): Promise<NewLargeFile> {
    return this.#makingRoom(0, () => this.#cloneFile(from, path, mostBytes));
  }

  async #cloneFile(from: StoredFile, path: Buffer, mostBytes: number): Promise<NewLargeFile> {
    const { hurtInodes, signal, space, linkable } = this.#options;
    const folder = linkable.resolve(from.folder);
    if (folder === undefined) throw new StorageError('NOT_FOUND', 'there is no such folder to copy from');
    const trust = linkable.trust(from.folder);
    using opened = new DisposableStack();
    const source = opened.use(
      await openSource(folder, from.path, {
        trust,
        hurtInodes,
        check: () => signal.throwIfAborted(),
      }),
    );
    space.check(BLOCK_BYTES);
    const file = this.#largeFile(path);
    opened.move();
    await file.fill({ ...source, takenBytes: Math.min(mostBytes, source.sizeBytes) }, this.#copier);
    return file;
  }

  /** Does it at once, and again as long as what was carried over can make room for it. `work` leaves nothing if it fails. */
  async #makingRoom<Result>(bytes: number, work: () => Result | Promise<Result>): Promise<Result> {
    for (;;) {
      this.#options.check();
      try {
        return await work();
      } catch (error) {
        await this.#options.carried.makeRoom(error, bytes);
      }
    }
  }

  #take(files: readonly PutFile[]): Taken {
    const { space } = this.#options;
    const taken = { contentBytes: 0, blockBytes: 0, files: 0 };
    try {
      for (const { path, content } of files) {
        // Counted before it is stored: what comes meanwhile must not take the same room.
        space.check(content.length);
        const blockBytes = inBlocks(content.length);
        space.used(blockBytes);
        taken.contentBytes += content.length;
        taken.blockBytes += blockBytes;
        taken.files++;
        this.#place(path);
      }
      return taken;
    } catch (error) {
      space.released(taken.blockBytes, taken.files);
      throw error;
    }
  }

  /** What folders grew to, once the names are in them. Once; the last are looked at when the run is closed. */
  #measure(folders: readonly Buffer[]): void {
    if (this.#growing.delete(folders)) for (const path of folders) this.#options.folders.measure(path);
  }

  #place(path: Buffer): { folder: FolderHandle; name: Buffer } {
    const slash = path.lastIndexOf(SLASH);
    if (slash < 0) return { folder: this.#options.folders.root, name: path };
    return { folder: this.#options.folders.ensure(path.subarray(0, slash)), name: path.subarray(slash + 1) };
  }

  #largeFile(path: Buffer): LargeFile {
    const { space, signal, flush, carried } = this.#options;
    return new LargeFile({
      place: () => this.#place(path),
      space,
      hasher: this.#hasher,
      signal,
      wrote: (bytes) => flush.wrote(bytes),
      // Nobody waits: this write was refused, and who tries again finds the room.
      refused: (error) => void carried.makeRoom(error, 0).catch(() => undefined),
      finished: (sizeBytes) => this.#count(sizeBytes),
    });
  }

  #count(sizeBytes: number): void {
    this.#files++;
    this.#bytes += sizeBytes;
  }

  /** Ends the threads. Nothing may be stored any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#copier[Symbol.asyncDispose]();
    await this.#hasher[Symbol.asyncDispose]();
    await this.#storer[Symbol.asyncDispose]();
    for (const folders of this.#growing) this.#measure(folders);
  }
}

interface Taken {
  readonly contentBytes: number;
  readonly blockBytes: number;
  readonly files: number;
}

const SLASH = 0x2f;

/** The folders that they lie in, each once where they follow one another. */
function foldersOf(files: readonly PutFile[]): Buffer[] {
  const folders: Buffer[] = [];
  for (const { path } of files) {
    const folder = path.subarray(0, Math.max(path.lastIndexOf(SLASH), 0));
    // Copied: the memory of the paths goes to another thread.
    if (folders.at(-1)?.equals(folder) !== true) folders.push(Buffer.from(folder));
  }
  return folders;
}
