import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { encodeOrder, orderBytes, type WriteOrder } from './write-order.ts';
import type { Posted, Written } from './writer-thread.ts';

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
  readonly waiting: Map<number, (isDone: boolean) => void>;
}

/**
 * Makes small files on a second thread, while this one reads the connection. What the thread has no room for is not
 * waited for: whoever asks does it himself, so both are busy and nothing queues up. Memory: 4 MiB, and a small heap.
 */
export class FileWriter implements Disposable {
  readonly #free: Batch[] = [];
  readonly #batches: Batch[] = [];
  #filling: Batch | undefined;
  #postDue: NodeJS.Timeout | undefined;
  #refused = 0;
  #undone = 0;
  #thread: Worker | undefined;

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
    return new Promise((resolve) => batch.waiting.set(start, resolve));
  }

  /** Nothing must be under way. */
  [Symbol.dispose](): void {
    void this.#thread?.terminate();
    this.#thread = undefined;
  }

  #start(): Worker {
    const memory = Array.from({ length: BATCHES }, () => new SharedArrayBuffer(BATCH_BYTES));
    for (const [index, shared] of memory.entries())
      this.#batches.push({ index, bytes: Buffer.from(shared), endBytes: 0, waiting: new Map() });
    this.#free.push(...this.#batches);
    const program = new URL(`./writer-thread${extname(import.meta.url)}`, import.meta.url);
    const thread = new Worker(program, {
      workerData: memory,
      trackUnmanagedFds: false, // libc opens what Node closes
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
    });
    // Without a listener for errors, one would end the process, as it should.
    thread.on('message', (written: Written) => this.#answered(written));
    return thread;
  }

  readonly #post = (): void => {
    clearTimeout(this.#postDue);
    this.#postDue = undefined;
    const batch = this.#filling;
    if (batch === undefined) return;
    this.#filling = undefined;
    this.#thread?.postMessage({ batch: batch.index, endBytes: batch.endBytes } satisfies Posted);
  };

  #answered({ batch: index, undone }: Written): void {
    const batch = this.#batches[index];
    if (batch === undefined) throw new Error(`there is no batch ${index}`);
    this.#undone += undone.length;
    const isUndone = new Set(undone);
    for (const [start, done] of batch.waiting) done(!isUndone.has(start));
    batch.waiting.clear();
    batch.endBytes = 0;
    this.#free.push(batch);
  }
}
