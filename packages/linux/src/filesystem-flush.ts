import { EarlyFlush } from './early-flush.ts';
import { syncFilesystem, syncFilesystemLater } from './sync.ts';

/**
 * Brings what is written to a file system to its disk, early and at the end. The kernel tells of an error in writing only once
 * for each opening of a file (syncfs(2), errseq_t): if an early flush was told, the one at the end is not. So the first
 * failure is remembered, and there is no end that goes well after it.
 */
export class FilesystemFlush implements AsyncDisposable {
  readonly #fd: number;
  readonly #failed: () => void;
  readonly #early: EarlyFlush;
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param fd - of a file or folder of the file system, opened before anything is written; stays the caller's
   * @param failed - called once, at the first failure; may not throw
   */
  constructor(fd: number, failed: () => void = () => undefined) {
    this.#fd = fd;
    this.#failed = failed;
    this.#early = new EarlyFlush(() => this.#noting(() => syncFilesystemLater(fd)));
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** So much was written; now and then some of it is flushed. */
  wrote(bytes: number): void {
    this.#early.wrote(bytes);
  }

  /** @throws LibcError what a flush failed with, this time or before: `EIO`, `ENOSPC` */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Everything written is on the disk when this resolves, and nothing is flushed early after it. @throws as `check` */
  async flush(): Promise<void> {
    // One that is under way may be told what the next is not.
    await this.#early[Symbol.asyncDispose]();
    // On another thread first, so that who waits hears of us; then what was written meanwhile.
    await this.#noting(() => syncFilesystemLater(this.#fd));
    await this.#noting(() => syncFilesystem(this.#fd));
    this.check();
  }

  /** Resolves when nothing is flushed any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#early[Symbol.asyncDispose]();
  }

  async #noting(flush: () => Promise<void> | void): Promise<void> {
    try {
      await flush();
    } catch (error) {
      if (this.#failure !== undefined) return;
      this.#failure = { error };
      this.#failed();
    }
  }
}
