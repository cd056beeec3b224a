import { comparePaths } from '@bakker/impl-format';
import type { Entry } from '@bakker/impl-format';
import type { EarlierEntries } from '../ports/source-tree.ts';

/** A file system's clock may stand still for so long: what changed just before a run may change again unseen. */
const CLOCK_TICK_NS = 2_000_000_000n;
/** A scan's slice passes at most so many paths before it refills. */
const AT_HAND = 1024;

/**
 * The parent's entries for two readers: the scan looks ahead in them (`at`), the merge-join takes them (`batches`).
 * Holds the batches between the two, a few at most.
 */
export class ParentEntries implements EarlierEntries {
  readonly #source: AsyncIterator<readonly Entry[], unknown>;
  readonly #settledBeforeNs: bigint;
  /** Read, and not yet taken by the merge-join. */
  readonly #queue: (readonly Entry[])[] = [];
  /** Read, and not yet passed by the scan. */
  readonly #ahead: (readonly Entry[])[] = [];
  #next = 0;
  #hasEnded = false;

  /** @param startedAtMs - when the run that they are of began */
  constructor(source: AsyncIterator<readonly Entry[], unknown>, startedAtMs: number) {
    this.#source = source;
    this.#settledBeforeNs = BigInt(startedAtMs) * 1_000_000n - CLOCK_TICK_NS;
  }

  at(path: Buffer): Entry | undefined {
    for (;;) {
      const batch = this.#ahead[0];
      if (!batch) return undefined;
      for (; this.#next < batch.length; this.#next++) {
        const entry = batch[this.#next];
        const order = entry ? comparePaths(entry.path, path) : 0;
        if (order > 0) return undefined;
        if (order === 0) return entry;
      }
      this.#ahead.shift();
      this.#next = 0;
    }
  }

  isSettled(ctimeNs: bigint): boolean {
    return ctimeNs < this.#settledBeforeNs;
  }

  async refill(): Promise<void> {
    while (!this.#hasEnded && this.#countAhead() < AT_HAND) await this.#read();
  }

  /** For the merge-join: every batch once, in order. */
  async *batches(): AsyncGenerator<readonly Entry[]> {
    for (;;) {
      if (this.#queue.length === 0 && !this.#hasEnded) await this.#read();
      const batch = this.#queue.shift();
      if (!batch) return;
      yield batch;
    }
  }

  async #read(): Promise<void> {
    const step = await this.#source.next();
    if (step.done === true) {
      this.#hasEnded = true;
      return;
    }
    this.#queue.push(step.value);
    this.#ahead.push(step.value);
  }

  #countAhead(): number {
    return this.#ahead.reduce((count, batch) => count + batch.length, -this.#next);
  }
}
