import { extname } from 'node:path';
import { JobThread } from '@bakker/linux';
import { encodeOrder, orderBytes, type WriteOrder } from './write-order.ts';
import type { Posted, Undone } from './writer-thread.ts';

const BATCHES = 16;
const BATCH_BYTES = 256 * 1024;
/** A batch goes off when it holds this much, or when it waited long enough: each costs two messages. */
const POST_AT_BYTES = 224 * 1024;
const POST_AFTER_MS = 5;
/** A restore of few files is over before a thread has started. */
const FIRST_ON_THIS_THREAD = 500;
/** Where the thread fails so often, it is not the one to do it: a user may not set owners, say. */
const MOST_UNDONE = 100;

interface Batch {
  readonly index: number;
  readonly bytes: Buffer;
  endBytes: number;
  /** By the position of the order. */
  readonly waiting: Map<number, PromiseWithResolvers<boolean>>;
}

/**
 * Makes small files on a second thread, while this one reads the connection. What the thread has no room for is not
 * waited for: whoever asks does it himself, so both are busy and nothing queues up. Memory: 4 MiB, and a small heap.
 */
export class FileWriter implements AsyncDisposable {
  readonly #free: Batch[] = [];
  readonly #batches: Batch[] = [];
  #filling: Batch | undefined;
  #postDue: NodeJS.Timeout | undefined;
  #refused = 0;
  #undone = 0;
  #thread: JobThread<Posted, Undone> | undefined;

  /**
   * Takes an order if there is room for it.
   * @returns undefined if there is none; else resolves with whether it was carried out: if not, nothing of it is left
   */
  take(order: WriteOrder): Promise<boolean> | undefined {
    const lengthBytes = orderBytes(order);
    if (lengthBytes > BATCH_BYTES || this.#undone > MOST_UNDONE) return undefined;
    if (this.#thread === undefined && this.#refused++ < FIRST_ON_THIS_THREAD) return undefined;
    this.#thread ??= this.#start();
    if (this.#filling !== undefined && this.#filling.endBytes + lengthBytes > BATCH_BYTES) this.#post();
    const batch = (this.#filling ??= this.#free.pop());
    if (batch === undefined) return undefined;
    const start = batch.endBytes;
    batch.endBytes = encodeOrder(batch.bytes, start, order);
    if (batch.endBytes >= POST_AT_BYTES) this.#post();
    else this.#postDue ??= setTimeout(this.#post, POST_AFTER_MS);
    const waiting = Promise.withResolvers<boolean>();
    batch.waiting.set(start, waiting);
    return waiting.promise;
  }

  /** Nothing must be under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.[Symbol.asyncDispose]();
  }

  #start(): JobThread<Posted, Undone> {
    const memory = Array.from({ length: BATCHES }, () => new SharedArrayBuffer(BATCH_BYTES));
    for (const [index, shared] of memory.entries())
      this.#batches.push({ index, bytes: Buffer.from(shared), endBytes: 0, waiting: new Map() });
    this.#free.push(...this.#batches);
    return new JobThread({
      program: new URL(`./writer-thread${extname(import.meta.url)}`, import.meta.url),
      workerData: memory,
      youngMebibytes: 2,
      does: 'makes files',
    });
  }

  readonly #post = (): void => {
    clearTimeout(this.#postDue);
    this.#postDue = undefined;
    const batch = this.#filling;
    if (batch === undefined) return;
    this.#filling = undefined;
    this.#thread?.ask({ batch: batch.index, endBytes: batch.endBytes }).then(
      (undone) => this.#answered(batch, undone),
      (error: unknown) => {
        for (const { reject } of batch.waiting.values()) reject(error);
      },
    );
  };

  #answered(batch: Batch, undone: Undone): void {
    this.#undone += undone.length;
    const isUndone = new Set(undone);
    for (const [start, { resolve }] of batch.waiting) resolve(!isUndone.has(start));
    batch.waiting.clear();
    batch.endBytes = 0;
    this.#free.push(batch);
  }
}
