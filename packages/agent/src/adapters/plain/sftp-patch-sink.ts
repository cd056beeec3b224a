import { SftpStatusError } from '@bakker/sftp';
import type { Handle } from '@bakker/sftp';
import { NotPatched } from '../../ports/storage-account.ts';
import type { PatchSink } from '../../ports/storage-account.ts';
import { SftpSink } from './sftp-sink.ts';
import type { SftpSinkOptions } from './sftp-sink.ts';

/** Copies that wait for the server: it does one after another, and answers nothing else of the channel meanwhile. */
const COPIES_IN_FLIGHT = 2;
const ZEROS = Buffer.alloc(192 * 1024);

/** A large file over SFTP, made from an older one: the server copies what did not change. */
export class SftpPatchSink implements PatchSink {
  /** OpenSSH's server reads and writes. */
  readonly isShared = false;
  readonly #options: SftpSinkOptions & { readonly from: Handle };
  readonly #new: SftpSink;
  readonly #copies = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Behind it nothing was ever said: zeros. */
  #endBytes = 0;
  #isOpen = true;

  /** @param options - `from`: the older file, on the same channel; closed by the sink */
  constructor(options: SftpSinkOptions & { readonly from: Handle }) {
    this.#options = options;
    this.#new = new SftpSink(options);
  }

  async keep(offsetBytes: number, lengthBytes: number): Promise<void> {
    this.#endBytes = Math.max(this.#endBytes, offsetBytes + lengthBytes);
    await this.#below(COPIES_IN_FLIGHT);
    const { client, from, handle: to } = this.#options;
    this.#options.early?.wrote(lengthBytes);
    const copy = client
      .copyData({ from, fromOffset: offsetBytes, length: lengthBytes, to, toOffset: offsetBytes })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#copies.delete(copy));
    this.#copies.add(copy);
  }

  async zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    const toBytes = Math.min(this.#endBytes, offsetBytes + lengthBytes);
    for (let at = offsetBytes; at < toBytes; at += ZEROS.length)
      await this.#new.write(at, ZEROS.subarray(0, toBytes - at));
  }

  write(offsetBytes: number, bytes: Buffer): Promise<void> {
    this.#endBytes = Math.max(this.#endBytes, offsetBytes + bytes.length);
    return this.#new.write(offsetBytes, bytes);
  }

  async restart(): Promise<void> {
    await this.#below(1);
    this.#endBytes = 0;
    await this.#new.restart();
  }

  async finish(sizeBytes: number): Promise<void> {
    await this.#below(1);
    await this.#new.finish(sizeBytes);
    await this.#close();
  }

  async discard(): Promise<void> {
    await this.#close();
    await this.#new.discard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#new[Symbol.asyncDispose]();
  }

  /** @throws the first failure of a copy */
  async #below(count: number): Promise<void> {
    while (this.#copies.size >= count && !this.#failure) await Promise.race(this.#copies);
    if (!this.#failure) return;
    const { error } = this.#failure;
    const explained = await this.#options.translate(error);
    const isFull = explained instanceof Error && 'code' in explained && explained.code === 'STORAGE_FULL';
    if (isFull || !(error instanceof SftpStatusError)) throw explained;
    throw new NotPatched(`the storage did not copy: ${error.message}`, { isForAll: true, cause: error });
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#options.client.close(this.#options.from).catch(() => undefined);
  }
}
