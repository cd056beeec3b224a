/** Memory kept for batches to come. */
const KEPT_BATCHES = 16;

/**
 * Memory for batches of contents that two threads look at, used again: memory that is moved back and forth costs the garbage
 * collector more than what is done with it.
 */
export class SharedMemory {
  readonly #batchBytes: number;
  /** Contents of each batch's memory that are in use. */
  readonly #inUse = new Map<ArrayBufferLike, number>();
  readonly #free: SharedArrayBuffer[] = [];

  /** @param batchBytes - what most batches take at the most */
  constructor(batchBytes: number) {
    this.#batchBytes = batchBytes;
  }

  take(bytes: number): SharedArrayBuffer {
    const isUsual = bytes <= this.#batchBytes && bytes > this.#batchBytes / 4;
    return (
      (isUsual ? this.#free.pop() : undefined) ?? new SharedArrayBuffer(isUsual ? this.#batchBytes : bytes)
    );
  }

  /** So many contents in it are given out; `release` takes each back. */
  lend(memory: SharedArrayBuffer, contents: number): void {
    if (contents > 0) this.#inUse.set(memory, contents);
    else this.give(memory);
  }

  /** Whether the content lay in memory that was lent. */
  release({ buffer }: Buffer): boolean {
    const inUse = this.#inUse.get(buffer);
    if (inUse === undefined) return false;
    if (inUse > 1) this.#inUse.set(buffer, inUse - 1);
    else {
      this.#inUse.delete(buffer);
      this.give(buffer as SharedArrayBuffer);
    }
    return true;
  }

  /** Takes back what `take` gave. */
  give(memory: SharedArrayBuffer): void {
    if (memory.byteLength === this.#batchBytes && this.#free.length < KEPT_BATCHES) this.#free.push(memory);
  }
}
