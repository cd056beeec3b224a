import fs from 'node:fs';
import { copyStretchLater, punchHole, reflink } from '@bakker/linux';
import { NotPatched } from '../../ports/storage-account.ts';
import type { PatchSink } from '../../ports/storage-account.ts';
import { LocalSink, writeFully } from './local-sink.ts';
import type { LocalSinkOptions } from './local-sink.ts';

/** Zeros are written in pieces of this size where no hole can be made. */
const ZEROS = Buffer.alloc(1024 * 1024);

/**
 * A large file on this machine, made from an older one. Where the file system can, it begins as a clone that shares all
 * blocks, whatever their alignment; else the kernel copies what is kept.
 */
export class LocalPatchSink implements PatchSink {
  readonly #new: LocalSink;
  readonly #from: number;
  readonly #to: number;
  readonly isShared: boolean;
  readonly #translate: (error: unknown) => unknown;
  #copying: Promise<void> = Promise.resolve();
  /** What lies before may be under way still. */
  #keptBytes = 0;
  /** Behind it there is nothing: zeros. */
  #endBytes = 0;
  #isOpen = true;

  /** @param options - `from`: the older file, open for reading; closed by the sink */
  constructor(options: LocalSinkOptions & { from: number }) {
    this.#new = new LocalSink(options);
    this.#from = options.from;
    this.#to = options.descriptor;
    this.#translate = options.translate;
    this.isShared = reflink(this.#from, this.#to);
    if (this.isShared) this.#endBytes = fs.fstatSync(this.#to).size;
  }

  async keep(offsetBytes: number, lengthBytes: number): Promise<void> {
    if (this.isShared) return;
    this.#keptBytes = offsetBytes + lengthBytes;
    this.#endBytes = Math.max(this.#endBytes, this.#keptBytes);
    const before = this.#copying;
    this.#copying = before.then(() => this.#copy(offsetBytes, lengthBytes));
    this.#copying.catch(() => undefined); // whoever waits for it sees the failure
    await before;
  }

  async zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    const toBytes = Math.min(this.#endBytes, offsetBytes + lengthBytes);
    if (toBytes <= offsetBytes) return;
    await this.#copying;
    try {
      if (punchHole(this.#to, { offsetBytes, lengthBytes: toBytes - offsetBytes })) return;
      for (let at = offsetBytes; at < toBytes; at += ZEROS.length)
        writeFully(this.#to, ZEROS.subarray(0, toBytes - at), at);
    } catch (error) {
      throw this.#translate(error);
    }
  }

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    this.#endBytes = Math.max(this.#endBytes, offsetBytes + bytes.length);
    // a copy that ends later would take back what is written over it
    if (offsetBytes < this.#keptBytes) await this.#copying;
    await this.#new.write(offsetBytes, bytes);
  }

  async restart(): Promise<void> {
    await this.#copying;
    this.#endBytes = 0;
    await this.#new.restart();
  }

  async finish(sizeBytes: number): Promise<void> {
    await this.#copying;
    await this.#new.finish(sizeBytes);
    this.#close();
  }

  async discard(): Promise<void> {
    await this.#copying.catch(() => undefined);
    this.#close();
    await this.#new.discard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // a descriptor must not be closed, and used anew, under a copy
    await this.#copying.catch(() => undefined);
    this.#close();
    await this.#new[Symbol.asyncDispose]();
  }

  async #copy(offsetBytes: number, lengthBytes: number): Promise<void> {
    try {
      for (let doneBytes = 0; doneBytes < lengthBytes;) {
        const left = { offsetBytes: offsetBytes + doneBytes, lengthBytes: lengthBytes - doneBytes };
        const copiedBytes = await copyStretchLater(this.#from, this.#to, left);
        if (copiedBytes === undefined)
          throw new NotPatched('this file system does not copy by itself', { isForAll: true });
        if (copiedBytes === 0) throw new NotPatched('the older file became shorter', { isForAll: false });
        doneBytes += copiedBytes;
      }
    } catch (error) {
      throw this.#translate(error);
    }
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    fs.closeSync(this.#from);
  }
}
