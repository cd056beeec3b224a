/** Bounds what is in flight: so many pieces of work, so many bytes. */
export class Budget {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  #count = 0;
  #bytes = 0;
  #waiters: (() => void)[] = [];

  constructor(limits: { maxCount: number; maxBytes: number }) {
    this.#maxCount = limits.maxCount;
    this.#maxBytes = limits.maxBytes;
  }

  /** Undefined when there is room; else resolves when there is. A single piece over the limit is let through alone. */
  room(): Promise<void> | undefined {
    return this.#hasRoom() ? undefined : this.#wait();
  }

  take(bytes: number): void {
    this.#count++;
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#count--;
    this.#bytes -= bytes;
    if (this.#waiters.length === 0 || !this.#hasRoom()) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #hasRoom(): boolean {
    return this.#count === 0 || (this.#count < this.#maxCount && this.#bytes < this.#maxBytes);
  }

  async #wait(): Promise<void> {
    while (!this.#hasRoom()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}

/**
 * For the contents of one command: half of the memory for small files, half for large ones, so that neither waits for the
 * other. A window of a large file is all that it holds, however large it is.
 */
export function contentBudgets({ memoryBytes, smallFiles }: { memoryBytes: number; smallFiles: number }): {
  readonly small: Budget;
  readonly large: Budget;
} {
  const maxBytes = memoryBytes / 2;
  return {
    small: new Budget({ maxCount: smallFiles, maxBytes }),
    large: new Budget({ maxCount: LARGE_FILES, maxBytes }),
  };
}

/** What a large file holds while it is under way: its pieces that are read ahead, or not acknowledged yet. */
export const LARGE_FILE_BYTES = 8 * 1024 * 1024;
const LARGE_FILES = 4;
