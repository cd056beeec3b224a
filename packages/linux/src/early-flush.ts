/** So much is written before the disk gets to work on it: little enough that not much is left for the end. */
const FLUSH_EVERY_BYTES = 64 * 1024 * 1024;

/**
 * Brings what is written to a disk while more is written, so that the flush at the end, which tells whether all went well, finds
 * little left. One flush at a time.
 */
export class EarlyFlush implements AsyncDisposable {
  readonly #flush: () => Promise<void> | undefined;
  #unflushedBytes = 0;
  #flushing: Promise<void> | undefined;
  #isDisposed = false;

  /** @param flush - begins one, which never rejects; undefined if none can be made now */
  constructor(flush: () => Promise<void> | undefined) {
    this.#flush = flush;
  }

  wrote(bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < FLUSH_EVERY_BYTES || this.#flushing || this.#isDisposed) return;
    const flushing = this.#flush();
    if (flushing === undefined) return;
    this.#unflushedBytes = 0;
    this.#flushing = flushing.then(() => {
      this.#flushing = undefined;
    });
  }

  /** Resolves when nothing is flushed any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.#flushing;
  }
}
