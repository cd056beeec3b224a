/** A block of a file in its place. */
export interface Block {
  readonly index: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Undefined where nothing but a hole is. */
  readonly bytes: Buffer | undefined;
}

/**
 * Cuts a file that comes in ascending pieces, holes left out, into its blocks. Blocks that lie in one piece are parts of it,
 * not copies; others have memory of their own.
 */
export class BlockFeed {
  readonly #sizeBytes: number;
  readonly #blockBytes: number;
  #index = 0;
  #partial: Buffer | undefined;
  #partialBytes = 0;

  constructor(sizeBytes: number, blockBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.#blockBytes = blockBytes;
  }

  /** The blocks that are whole now. */
  *add(offsetBytes: number, bytes: Buffer): Generator<Block> {
    yield* this.#zerosUpTo(offsetBytes);
    for (let start = 0; start < bytes.length;) {
      const wantedBytes = this.#lengthBytes() - this.#partialBytes;
      if (wantedBytes < 1) throw new Error('more was read than the file has');
      const part = bytes.subarray(start, start + wantedBytes);
      start += part.length;
      if (this.#partialBytes === 0 && part.length === wantedBytes) yield this.#take(part);
      else yield* this.#fill(part);
    }
  }

  /** The rest: what did not come is a hole. */
  *end(): Generator<Block> {
    yield* this.#zerosUpTo(this.#sizeBytes);
  }

  #lengthBytes(): number {
    return Math.min(this.#blockBytes, this.#sizeBytes - this.#index * this.#blockBytes);
  }

  *#fill(part: Buffer): Generator<Block> {
    this.#partial ??= Buffer.allocUnsafeSlow(this.#lengthBytes());
    this.#partialBytes += part.copy(this.#partial, this.#partialBytes);
    if (this.#partialBytes === this.#partial.length) yield this.#take(this.#partial);
  }

  *#zerosUpTo(offsetBytes: number): Generator<Block> {
    for (;;) {
      const startBytes = this.#index * this.#blockBytes;
      const missingBytes = offsetBytes - startBytes - this.#partialBytes;
      if (missingBytes <= 0) return;
      const lengthBytes = this.#lengthBytes();
      if (this.#partialBytes === 0 && missingBytes >= lengthBytes) {
        yield this.#take(undefined);
        continue;
      }
      this.#partial ??= Buffer.allocUnsafeSlow(lengthBytes);
      const toBytes = Math.min(lengthBytes, this.#partialBytes + missingBytes);
      this.#partial.fill(0, this.#partialBytes, toBytes);
      this.#partialBytes = toBytes;
      if (toBytes === lengthBytes) yield this.#take(this.#partial);
    }
  }

  #take(bytes: Buffer | undefined): Block {
    const index = this.#index++;
    const offsetBytes = index * this.#blockBytes;
    const lengthBytes = Math.min(this.#blockBytes, this.#sizeBytes - offsetBytes);
    this.#partial = undefined;
    this.#partialBytes = 0;
    return { index, offsetBytes, lengthBytes, bytes };
  }
}
