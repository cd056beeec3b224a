/**
 * Lets callers wait until fewer than so many requests are under way. Waiters go in the order they came, and no more
 * at a time than there is room for, so that a thousand of them do not overshoot the bound together.
 */
export class Room {
  readonly #count: () => number;
  #waiters: Waiter[] = [];
  #recheck: NodeJS.Immediate | undefined;

  /** @param count - requests under way now */
  constructor(count: () => number) {
    this.#count = count;
  }

  /** Resolves once fewer than `bound` are under way. */
  below(bound: number): Promise<void> {
    if (!(bound >= 1)) return Promise.reject(new RangeError(`no bound for requests in flight: ${bound}`));
    if (this.#waiters.length === 0 && this.#count() < bound) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ bound, resolve, reject });
      // A waiter behind others may have room of its own.
      this.#recheckSoon();
    });
  }

  /** To be called when requests were answered. */
  changed(): void {
    if (this.#waiters.length === 0) return;
    const count = this.#count();
    let released = 0;
    this.#waiters = this.#waiters.filter(({ bound, resolve }) => {
      if (count + released >= bound) return true;
      released++;
      resolve();
      return false;
    });
    // Whoever was let in may not have sent anything: without new requests no reply would call this again.
    if (released > 0 && this.#waiters.length > 0) this.#recheckSoon();
  }

  fail(error: Error): void {
    if (this.#recheck !== undefined) clearImmediate(this.#recheck);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }

  #recheckSoon(): void {
    this.#recheck ??= setImmediate(() => {
      this.#recheck = undefined;
      this.changed();
    });
  }
}

interface Waiter {
  readonly bound: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}
