import { closeSync, constants, ftruncateSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { baseName, parentPath } from '@bakker/impl-format/storage';
import { openAt, openFolderBeneath, unlinkAt, type FolderHandle } from '@bakker/linux';

const FILE_MODE = 0o600;

/** A file in the account that is being written, and its SHA-256. What was left at its path by a killed session is replaced. */
export class ManifestFile implements Disposable {
  readonly #account: FolderHandle;
  readonly #path: Buffer;
  readonly #fd: number;
  #hash = createHash('sha256');
  #sizeBytes = 0;
  #isOpen = true;

  /** @throws LibcError */
  constructor(account: FolderHandle, path: Buffer) {
    this.#account = account;
    this.#path = path;
    using folder = openFolderBeneath(account, parentPath(path));
    unlinkAt({ folder, name: baseName(path) });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    this.#fd = openAt({ folder, name: baseName(path) }, { flags, mode: FILE_MODE });
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Of the bytes so far, hex. */
  get sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  /** @throws errno errors: `ENOSPC`, … */
  write(bytes: Uint8Array): void {
    for (let written = 0; written < bytes.length;) {
      written += writeSync(this.#fd, bytes, written, bytes.length - written, this.#sizeBytes + written);
    }
    this.#hash.update(bytes);
    this.#sizeBytes += bytes.length;
  }

  /** Forgets what was written. */
  empty(): void {
    ftruncateSync(this.#fd);
    this.#hash = createHash('sha256');
    this.#sizeBytes = 0;
  }

  /** Closes the file, which stays. */
  close(): void {
    this.#isOpen = false;
    closeSync(this.#fd);
  }

  /** Removes it, unless it was closed. */
  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
    using folder = openFolderBeneath(this.#account, parentPath(this.#path));
    unlinkAt({ folder, name: baseName(this.#path) });
  }
}
