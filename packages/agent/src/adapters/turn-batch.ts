/** What goes together at the most; an item that is larger goes alone. */
export interface BatchLimits {
  readonly bytes: number;
  readonly items: number;
}

/** Gathers what comes in one turn of the event loop: a message for each small file would cost more than most of them. */
export class TurnBatch<Item> {
  readonly #limits: BatchLimits;
  readonly #send: (items: readonly Item[], bytes: number) => void;
  #items: Item[] = [];
  #bytes = 0;

  /** @param send - takes what was gathered, never nothing */
  constructor(limits: BatchLimits, send: (items: readonly Item[], bytes: number) => void) {
    this.#limits = limits;
    this.#send = send;
  }

  add(item: Item, bytes: number): void {
    if (this.#bytes + bytes > this.#limits.bytes || this.#items.length === this.#limits.items) this.flush();
    // Late enough for all who come now.
    if (this.#items.length === 0) process.nextTick(() => this.flush());
    this.#items.push(item);
    this.#bytes += bytes;
  }

  /** Sends what is there, before the turn ends. */
  flush(): void {
    const items = this.#items;
    const bytes = this.#bytes;
    if (items.length === 0) return;
    this.#items = [];
    this.#bytes = 0;
    this.#send(items, bytes);
  }
}
