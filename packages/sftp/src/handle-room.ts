/** Bounds how many handles are open at a server: who wants one more waits, in order, until one was closed. */
export class HandleRoom {
  #free: number;
  readonly #waiters: (() => void)[] = [];

  /** @param most - handles that the server keeps open, at least one */
  constructor(most: number) {
    this.#free = most;
  }

  /** Takes one: at once, or, if a promise is returned, when that resolves. */
  take(): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /** Gives one back: it was closed, or could not be opened. */
  give(): void {
    const next = this.#waiters.shift();
    if (next) next();
    else this.#free++;
  }
}
