import { syncFilesystemLater } from './sync.ts';

/** So much is written before the disk gets to work on it: little enough that not much is left for the end. */
const FLUSH_EVERY_BYTES = 64 * 1024 * 1024;

/**
 * Brings what is written to a file system to the disk while more is written, on another thread, so that the flush at the end,
 * which tells whether all went well, finds little left.
 */
export class EarlyFlush implements AsyncDisposable {
  readonly #fd: number;
  #unflushedBytes = 0;
  #flushing: Promise<void> | undefined;
  #isDisposed = false;

  /** @param fd - open on the file system until this is disposed of */
  constructor(fd: number) {
    this.#fd = fd;
  }

  wrote(bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < FLUSH_EVERY_BYTES || this.#flushing || this.#isDisposed) return;
    this.#unflushedBytes = 0;
    this.#flushing = syncFilesystemLater(this.#fd).then(() => {
      this.#flushing = undefined;
    });
  }

  /** Resolves when the descriptor is not in use any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.#flushing;
  }
}
