/** Sizes that are kept; a request takes the next larger one. */
const CLASSES_BYTES = [8 * 1024, 32 * 1024, 128 * 1024, 256 * 1024];
/** Memory kept for reuse in each class. */
const KEPT_BYTES = 4 * 1024 * 1024;

/**
 * Memory for the content of small files, used again: fresh memory for each of a hundred thousand files costs the
 * allocator and the garbage collector more than reading them does.
 */
export class ContentPool {
  readonly #free = CLASSES_BYTES.map((): ArrayBufferLike[] => []);

  /** A buffer of this length; what is in it is left over from others. */
  take(sizeBytes: number): Buffer {
    const index = CLASSES_BYTES.findIndex((classBytes) => sizeBytes <= classBytes);
    if (index < 0) return Buffer.allocUnsafeSlow(sizeBytes);
    const memory = this.#free[index]?.pop() ?? new ArrayBuffer(CLASSES_BYTES[index] ?? sizeBytes);
    return Buffer.from(memory, 0, sizeBytes);
  }

  /** Gives back what `take` gave; nobody may look at it any more. */
  give({ buffer }: Buffer): void {
    const index = CLASSES_BYTES.indexOf(buffer.byteLength);
    const free = this.#free[index];
    if (free && free.length * buffer.byteLength < KEPT_BYTES) free.push(buffer);
  }
}
