import { constants, openSync } from 'node:fs';
import { EarlyFlush, FolderHandle, syncFilesystem, syncFilesystemLater } from '@bakker/linux';

interface Written {
  readonly folder: FolderHandle;
  readonly early: EarlyFlush;
}

/** One folder held open on every file system that a restore came to, by which that is flushed: early, and at the end. */
export class WrittenFilesystems implements AsyncDisposable {
  readonly #written = new Map<bigint, Written>();

  note(filesystem: bigint, folder: FolderHandle): void {
    if (this.#written.has(filesystem)) return;
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    const own = new FolderHandle(openSync(folder.at(Buffer.from('.')), flags));
    this.#written.set(filesystem, { folder: own, early: new EarlyFlush(() => syncFilesystemLater(own.fd)) });
  }

  /** @param filesystem - noted before */
  wrote(filesystem: bigint, bytes: number): void {
    this.#written.get(filesystem)?.early.wrote(bytes);
  }

  /** @throws LibcError `EIO`, `ENOSPC` */
  flush(): void {
    for (const { folder } of this.#written.values()) syncFilesystem(folder.fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { folder, early } of this.#written.values()) {
      await early[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    }
    this.#written.clear();
  }
}
