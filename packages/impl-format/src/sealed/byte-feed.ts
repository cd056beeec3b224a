import { SealedError } from './sealed-error.ts';

/** Bytes of a source, in the lengths that a format needs. Holds what was asked for and one piece. */
export class ByteFeed implements AsyncDisposable {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);
  #hasEnded = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** The next `lengthBytes`, or fewer if it ends before. The view is the caller's until the next call. */
  async take(lengthBytes: number): Promise<Buffer> {
    await this.#fill(lengthBytes);
    const taken = this.#held.subarray(0, lengthBytes);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  /** The next `lengthBytes` or fewer, which stay to be taken. */
  async peek(lengthBytes: number): Promise<Buffer> {
    await this.#fill(lengthBytes);
    return this.#held.subarray(0, lengthBytes);
  }

  /** @throws SealedError TRUNCATED */
  async takeAll(lengthBytes: number): Promise<Buffer> {
    const taken = await this.take(lengthBytes);
    if (taken.length < lengthBytes) throw new SealedError('TRUNCATED', 'it ends early');
    return taken;
  }

  /** Whether nothing comes any more. */
  async isAtEnd(): Promise<boolean> {
    await this.#fill(1);
    return this.#held.length === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) await this.#pieces.return?.();
    this.#hasEnded = true;
  }

  async #fill(lengthBytes: number): Promise<void> {
    if (this.#held.length >= lengthBytes || this.#hasEnded) return;
    const gathered = [this.#held];
    let gatheredBytes = this.#held.length;
    while (gatheredBytes < lengthBytes) {
      const next = await this.#pieces.next();
      if (next.done === true) {
        this.#hasEnded = true;
        break;
      }
      const { value } = next;
      const piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      gathered.push(piece);
      gatheredBytes += piece.length;
    }
    this.#held = Buffer.concat(gathered);
  }
}
