import type { Handle, SftpClient } from '@bakker/sftp';
import { PIECES_IN_FLIGHT } from './read-ahead.ts';

/** Writes of one open file, so many in flight; the first failure is kept and thrown by whatever comes next. */
export class WriteWindow {
  readonly #client: SftpClient;
  readonly #handle: Handle;
  readonly #maxWriteBytes: number;
  #inFlight = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(client: SftpClient, handle: Handle, maxWriteBytes: number) {
    this.#client = client;
    this.#handle = handle;
    this.#maxWriteBytes = maxWriteBytes;
  }

  /** Resolves when there is room for more. @throws the first failure */
  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    for (let start = 0; start < bytes.length; start += this.#maxWriteBytes) {
      await this.#below(PIECES_IN_FLIGHT);
      this.#inFlight++;
      const piece = bytes.subarray(start, start + this.#maxWriteBytes);
      this.#client.write(this.#handle, offsetBytes + start, piece).then(
        () => this.#answered(),
        (error: unknown) => {
          this.#failure ??= { error };
          this.#answered();
        },
      );
    }
  }

  /** Resolves when all was written. @throws the first failure */
  idle(): Promise<void> {
    return this.#below(1);
  }

  async #below(count: number): Promise<void> {
    while (this.#inFlight >= count && !this.#failure)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#failure) throw this.#failure.error;
  }

  #answered(): void {
    this.#inFlight--;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
