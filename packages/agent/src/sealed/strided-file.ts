import { shortStridedHeader } from '@bakker/impl-format/sealed';
import type { StridedSealer } from '@bakker/impl-format/sealed';
import type { FileSink } from '../ports/storage-account.ts';
import { Appending } from './appending.ts';
import type { SealedFile, StoredFile } from './sealing.ts';
import { stages } from '../timings/stages.ts';

/** A large file: each chunk at its place, holes as holes. Holds one chunk. */
export class StridedFile implements SealedFile {
  readonly #sealer: StridedSealer;
  readonly #out: Appending;
  readonly #sizeBytes: number;
  readonly #chunkBytes: number;
  /** The chunk that is being filled, if only a part of it came so far. */
  readonly #partial: Buffer;
  #partialBytes = 0;
  /** Sealed so far: whole chunks, unless it is all. */
  #doneBytes = 0;
  #header: Buffer | undefined;

  constructor(
    sealer: StridedSealer,
    sink: FileSink,
    { sizeBytes, isHashed }: { sizeBytes: number; isHashed: boolean },
  ) {
    this.#sealer = sealer;
    this.#out = new Appending(sink, isHashed);
    this.#sizeBytes = sizeBytes;
    this.#chunkBytes = sealer.chunkSizeBytes;
    this.#partial = Buffer.alloc(this.#chunkBytes);
  }

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    await this.#zerosUpTo(offsetBytes);
    for (let start = 0; start < bytes.length;) {
      const wantedBytes = this.#wantedBytes() - this.#partialBytes;
      if (wantedBytes < 1) throw new Error('more was written than the file has');
      const part = bytes.subarray(start, start + wantedBytes);
      start += part.length;
      if (this.#partialBytes === 0 && part.length === wantedBytes) await this.#seal(part);
      else await this.#fill(part);
    }
  }

  async end(): Promise<StoredFile> {
    await this.#zerosUpTo(this.#sizeBytes);
    return { ...(await this.#out.end()), header: this.#header && shortStridedHeader(this.#header) };
  }

  [Symbol.dispose](): void {
    // holds nothing but memory
  }

  /** Bytes of the chunk that comes next. */
  #wantedBytes(): number {
    return Math.min(this.#chunkBytes, this.#sizeBytes - this.#doneBytes);
  }

  async #fill(part: Buffer): Promise<void> {
    this.#partialBytes += part.copy(this.#partial, this.#partialBytes);
    if (this.#partialBytes < this.#wantedBytes()) return;
    const chunk = this.#partial.subarray(0, this.#partialBytes);
    this.#partialBytes = 0;
    await this.#seal(chunk);
  }

  /** Ends a chunk that has some data with zeros; what is left up to a chunk's border, or the end, is a hole. */
  async #zerosUpTo(offsetBytes: number): Promise<void> {
    const atBytes = this.#doneBytes + this.#partialBytes;
    if (offsetBytes <= atBytes) return;
    if (this.#partialBytes > 0) {
      const toBytes = Math.min(offsetBytes - this.#doneBytes, this.#wantedBytes());
      this.#partial.fill(0, this.#partialBytes, toBytes);
      this.#partialBytes = toBytes;
      if (toBytes < this.#wantedBytes()) return;
      this.#partialBytes = 0;
      await this.#seal(this.#partial.subarray(0, toBytes));
    }
    const isRest = offsetBytes === this.#sizeBytes;
    const restBytes = offsetBytes - this.#doneBytes;
    const holeBytes = isRest ? restBytes : restBytes - (restBytes % this.#chunkBytes);
    if (holeBytes > 0) await this.#sealHole(holeBytes);
    const zeroBytes = offsetBytes - this.#doneBytes;
    this.#partial.fill(0, 0, zeroBytes);
    this.#partialBytes = zeroBytes;
  }

  async #seal(chunk: Buffer): Promise<void> {
    const index = this.#doneBytes / this.#chunkBytes;
    this.#doneBytes += chunk.length;
    await this.#start(index);
    const place = { index, isLast: this.#isAtEnd() };
    await this.#out.add([stages.doing('seal', () => this.#sealer.sealChunk(place, chunk))]);
  }

  async #sealHole(lengthBytes: number): Promise<void> {
    const index = this.#doneBytes / this.#chunkBytes;
    this.#doneBytes += lengthBytes;
    await this.#start(index);
    await this.#out.add([this.#sealer.sealHole({ index, isLast: this.#isAtEnd() }, lengthBytes)]);
  }

  #isAtEnd(): boolean {
    return this.#doneBytes === this.#sizeBytes;
  }

  /** The size is known, and so is the header: it comes first, that the storage's own hash need not read the file again. */
  async #start(index: number): Promise<void> {
    if (this.#header === undefined) {
      this.#header = this.#sealer.header(this.#sizeBytes);
      await this.#out.add([this.#header]);
    }
    await this.#out.seek(this.#sealer.offset(index));
  }
}
