import { hash } from 'node:crypto';
import { StorageError } from '../../errors.ts';
import type { ContentThread } from './content-thread.ts';

let lastNumber = 0;

export interface StoredHashOptions {
  readonly thread: ContentThread;
  /** Stays open until `stop` has resolved. */
  readonly fd: number;
  /** Aborts when the client has gone: a file may say that it is terabytes long. */
  readonly signal: AbortSignal;
}

/**
 * SHA-256 of what lies in a file, made by a thread that reads it: behind the writer as long as that goes forward, and the rest
 * when it has ended.
 */
export class StoredHash {
  readonly #options: StoredHashOptions;
  readonly #number = ++lastNumber;
  #atBytes = 0;
  #wantedBytes = 0;
  #isStopped = false;
  #isUsed = false;
  #isReading = false;
  #work: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: StoredHashOptions) {
    this.#options = options;
  }

  /** Where the bytes begin that may still be written to. */
  get wantedBytes(): number {
    return this.#wantedBytes;
  }

  /** All before `untilBytes` is as it will stay. */
  follow(untilBytes: number): void {
    this.#wantedBytes = Math.max(this.#wantedBytes, untilBytes);
    if (!this.#isReading && this.#atBytes < this.#wantedBytes) this.#work = this.#read();
  }

  /** @throws StorageError FAILED if the file is shorter, INTERRUPTED, OUT_OF_ORDER if it was stopped; errno errors */
  async digest(sizeBytes: number): Promise<Buffer> {
    this.follow(sizeBytes);
    await this.#work;
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isStopped) throw new StorageError('OUT_OF_ORDER', 'the file was discarded');
    if (this.#atBytes !== sizeBytes) throw new Error(`${this.#atBytes} of ${sizeBytes} bytes are in a hash`);
    return this.#isUsed ? this.#options.thread.digest(this.#number) : hash('sha256', '', 'buffer');
  }

  /** Resolves when the file is not read any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#work;
    if (this.#isUsed) this.#options.thread.forget(this.#number);
  }

  /** Never rejects: nobody may be waiting. */
  async #read(): Promise<void> {
    const { thread, fd, signal } = this.#options;
    this.#isReading = true;
    try {
      while (this.#atBytes < this.#wantedBytes && !this.#isStopped) {
        if (signal.aborted) throw new StorageError('INTERRUPTED', 'the client has gone');
        this.#isUsed = true;
        const atBytes = await thread.count({
          kind: 'hash',
          hash: this.#number,
          fd,
          atBytes: this.#atBytes,
          endBytes: this.#wantedBytes,
        });
        if (atBytes === this.#atBytes)
          throw new StorageError('FAILED', 'the file became shorter while it was stored');
        this.#atBytes = atBytes;
      }
    } catch (error) {
      this.#failure = { error };
      this.#isStopped = true;
    }
    this.#isReading = false;
  }
}
