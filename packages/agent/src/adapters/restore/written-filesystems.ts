import { constants, openSync } from 'node:fs';
import { FolderHandle, syncFilesystem, syncFilesystemLater } from '@bakker/linux';

/** So much is written before the disk gets to work on it: little enough that not much is left for the end. */
const FLUSH_EVERY_BYTES = 64 * 1024 * 1024;

interface Written {
  readonly folder: FolderHandle;
  bytesSinceFlush: number;
  isFlushing: boolean;
}

/**
 * One folder held open on every file system that a restore came to. What is written is flushed while the restore goes on,
 * on another thread, so that the flush at its end, which tells whether all went well, finds little left.
 */
export class WrittenFilesystems implements Disposable {
  readonly #written = new Map<bigint, Written>();
  #isClosed = false;

  note(filesystem: bigint, folder: FolderHandle): void {
    if (this.#written.has(filesystem)) return;
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    const own = new FolderHandle(openSync(folder.at(Buffer.from('.')), flags));
    this.#written.set(filesystem, { folder: own, bytesSinceFlush: 0, isFlushing: false });
  }

  /** @param filesystem - noted before */
  wrote(filesystem: bigint, bytes: number): void {
    const written = this.#written.get(filesystem);
    if (written === undefined) return;
    written.bytesSinceFlush += bytes;
    if (written.bytesSinceFlush < FLUSH_EVERY_BYTES || written.isFlushing) return;
    written.bytesSinceFlush = 0;
    void this.#flushEarly(written);
  }

  /** @throws LibcError `EIO`, `ENOSPC` */
  flush(): void {
    for (const { folder } of this.#written.values()) syncFilesystem(folder.fd);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const { folder, isFlushing } of this.#written.values()) if (!isFlushing) folder[Symbol.dispose]();
    this.#written.clear();
  }

  async #flushEarly(written: Written): Promise<void> {
    written.isFlushing = true;
    await syncFilesystemLater(written.folder.fd);
    written.isFlushing = false;
    if (this.#isClosed) written.folder[Symbol.dispose]();
  }
}
