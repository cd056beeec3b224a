/** Walks batches one item at a time. */
export class Cursor<Item> implements AsyncDisposable {
  readonly #batches: AsyncGenerator<readonly Item[]>;
  #batch: readonly Item[] = [];
  #next = 0;

  constructor(batches: AsyncGenerator<readonly Item[]>) {
    this.#batches = batches;
  }

  /** The item that `take` would take; undefined at the end. */
  async peek(): Promise<Item | undefined> {
    while (this.#next >= this.#batch.length) {
      const next = await this.#batches.next();
      if (next.done === true) return undefined;
      this.#batch = next.value;
      this.#next = 0;
    }
    return this.#batch[this.#next];
  }

  take(): void {
    this.#next++;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#batches.return(undefined);
  }
}
