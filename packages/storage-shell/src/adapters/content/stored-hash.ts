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
  /**
   * A file that this one began as a clone of, sharing all blocks of its first `sizeBytes`. What was not written to since is read
   * there: the same blocks of the disk, of which memory may hold those of the older file already, and need not hold both.
   */
  readonly older?: { readonly fd: number; readonly sizeBytes: number } | undefined;
}

interface Stretch {
  readonly startBytes: number;
  readonly endBytes: number;
}

/** With more stretches waiting than this, the rest is read where it lies. */
const MOST_STRETCHES = 1024;

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
  /** Written to, rising and apart from each other, from what is still to be hashed on. The last one may have no end. */
  #written: Stretch[] = [];

  constructor(options: StoredHashOptions) {
    this.#options = options;
    this.#written.push({ startBytes: options.older?.sizeBytes ?? 0, endBytes: Infinity });
  }

  /** Where the bytes begin that may still be written to. */
  get wantedBytes(): number {
    return this.#wantedBytes;
  }

  /** What lies there is not the older file's from now on. Told of rising places, at `wantedBytes` or behind it. */
  changing(startBytes: number, endBytes: number): void {
    const isApart = (stretch: Stretch): boolean =>
      stretch.endBytes < startBytes || stretch.startBytes > endBytes;
    const met = this.#written.filter((stretch) => !isApart(stretch));
    const merged = {
      startBytes: Math.min(startBytes, ...met.map((stretch) => stretch.startBytes)),
      endBytes: Math.max(endBytes, ...met.map((stretch) => stretch.endBytes)),
    };
    this.#written = [...this.#written.filter(isApart), merged].sort((a, b) => a.startBytes - b.startBytes);
    const [first = merged] = this.#written;
    if (this.#written.length > MOST_STRETCHES) this.#written = [{ ...first, endBytes: Infinity }];
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
    const { thread, signal } = this.#options;
    this.#isReading = true;
    try {
      while (this.#atBytes < this.#wantedBytes && !this.#isStopped) {
        if (signal.aborted) throw new StorageError('INTERRUPTED', 'the client has gone');
        this.#isUsed = true;
        const atBytes = await thread.count({
          kind: 'hash',
          hash: this.#number,
          atBytes: this.#atBytes,
          ...this.#next(),
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

  /** Where the next bytes are read, and how far. */
  #next(): { fd: number; endBytes: number } {
    const { fd, older } = this.#options;
    while ((this.#written[0]?.endBytes ?? Infinity) <= this.#atBytes) this.#written.shift();
    const { startBytes, endBytes } = this.#written[0] ?? { startBytes: 0, endBytes: Infinity };
    if (older === undefined || startBytes <= this.#atBytes)
      return { fd, endBytes: Math.min(endBytes, this.#wantedBytes) };
    return { fd: older.fd, endBytes: Math.min(startBytes, this.#wantedBytes) };
  }
}
