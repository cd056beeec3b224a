import { constants, openSync } from 'node:fs';
import { FilesystemFlush, FolderHandle } from '@bakker/linux';

interface Written {
  readonly folder: FolderHandle;
  readonly flush: FilesystemFlush;
}

/** One folder held open on every file system that a restore came to, by which that is flushed: early, and at the end. */
export class WrittenFilesystems implements AsyncDisposable {
  readonly #written = new Map<bigint, Written>();

  note(filesystem: bigint, folder: FolderHandle): void {
    if (this.#written.has(filesystem)) return;
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    const own = new FolderHandle(openSync(folder.at(Buffer.from('.')), flags));
    this.#written.set(filesystem, { folder: own, flush: new FilesystemFlush(own.fd) });
  }

  /** @param filesystem - noted before */
  wrote(filesystem: bigint, bytes: number): void {
    this.#written.get(filesystem)?.flush.wrote(bytes);
  }

  /** @throws LibcError `EIO`, `ENOSPC`, also if an early flush failed */
  async flush(): Promise<void> {
    for (const { flush } of this.#written.values()) await flush.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { folder, flush } of this.#written.values()) {
      await flush[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    }
    this.#written.clear();
  }
}
