import { constants, openSync } from 'node:fs';
import { FolderHandle } from '../linux/beneath.ts';
import { syncFilesystem } from '../linux/sync.ts';

/** One folder held open on every file system that a restore came to, so that all can be flushed at its end. */
export class WrittenFilesystems implements Disposable {
  readonly #folders = new Map<bigint, FolderHandle>();

  note(filesystem: bigint, folder: FolderHandle): void {
    if (this.#folders.has(filesystem)) return;
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    this.#folders.set(filesystem, new FolderHandle(openSync(folder.at(Buffer.from('.')), flags)));
  }

  /** @throws LibcError `EIO`, `ENOSPC` */
  flush(): void {
    for (const folder of this.#folders.values()) syncFilesystem(folder.fd);
  }

  [Symbol.dispose](): void {
    for (const folder of this.#folders.values()) folder[Symbol.dispose]();
    this.#folders.clear();
  }
}
