import fs from 'node:fs';
import { reflink } from '@bakker/linux';
import type { FileSink, NewFile } from '../../ports/storage-account.ts';

export interface LocalSinkOptions {
  /** Open for writing, and for reading what was shared; closed by the sink. */
  readonly descriptor: number;
  readonly about: NewFile;
  readonly remove: () => Promise<void>;
  readonly translate: (error: unknown) => unknown;
}

/** A large file on this machine. */
export class LocalSink implements FileSink {
  readonly #descriptor: number;
  readonly #about: NewFile;
  readonly #remove: () => Promise<void>;
  readonly #translate: (error: unknown) => unknown;
  #isOpen = true;

  constructor(options: LocalSinkOptions) {
    this.#descriptor = options.descriptor;
    this.#about = options.about;
    this.#remove = options.remove;
    this.#translate = options.translate;
  }

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    this.#guard(() => writeFully(this.#descriptor, bytes, offsetBytes));
  }

  async restart(): Promise<void> {
    this.#guard(() => fs.ftruncateSync(this.#descriptor, 0));
  }

  async finish(sizeBytes: number): Promise<void> {
    this.#guard(() => {
      fs.ftruncateSync(this.#descriptor, sizeBytes);
      fs.futimesSync(this.#descriptor, this.#about.mtimeS, this.#about.mtimeS);
      if (this.#about.flush) fs.fsyncSync(this.#descriptor);
    });
    await this[Symbol.asyncDispose]();
  }

  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#remove();
  }

  share(descriptor: number): number | undefined {
    let isShared = false;
    this.#guard(() => {
      isShared = reflink(descriptor, this.#descriptor);
    });
    return isShared ? this.#descriptor : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    fs.closeSync(this.#descriptor);
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      throw this.#translate(error);
    }
  }
}

export function writeFully(descriptor: number, content: Buffer, offsetBytes: number): void {
  let written = 0;
  while (written < content.length) {
    written += fs.writeSync(descriptor, content, written, content.length - written, offsetBytes + written);
  }
}
