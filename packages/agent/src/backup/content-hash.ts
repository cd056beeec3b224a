import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { stages } from '../timings/stages.ts';

const ZEROS = Buffer.alloc(1024 * 1024);

/** SHA-256 of a file's logical content from its pieces in ascending order: what lies between them are zeros. */
export class ContentHash {
  readonly #hash: Hash = createHash('sha256');
  #positionBytes = 0;

  update(offsetBytes: number, bytes: Uint8Array): void {
    this.#zerosUpTo(offsetBytes);
    stages.doing('hash', () => this.#hash.update(bytes));
    this.#positionBytes += bytes.length;
  }

  /** @param sizeBytes - of the file: the rest up to it is a hole */
  finish(sizeBytes: number): Buffer {
    this.#zerosUpTo(sizeBytes);
    return this.#hash.digest();
  }

  #zerosUpTo(offsetBytes: number): void {
    while (this.#positionBytes < offsetBytes) {
      const lengthBytes = Math.min(ZEROS.length, offsetBytes - this.#positionBytes);
      this.#hash.update(lengthBytes === ZEROS.length ? ZEROS : ZEROS.subarray(0, lengthBytes));
      this.#positionBytes += lengthBytes;
    }
  }
}
