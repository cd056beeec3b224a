import type { StridedSealer } from '@bakker/impl-format/sealed';
import { shortStridedHeader, stridedSizeBytes } from '@bakker/impl-format/sealed';
import type { PatchSink } from '../ports/storage-account.ts';
import { stages } from '../timings/stages.ts';
import type { SealedPatch, StoredFile } from './sealing.ts';

/**
 * A large file of an earlier run being changed: whole blocks, which are whole chunks, at their places. Chunks that stay are
 * taken over sealed as they are; others are sealed with this run's key. The header comes first, so that a storage which hashes what
 * it stores needs to read nothing twice.
 */
export class StridedPatch implements SealedPatch {
  readonly chunkBytes: number;
  readonly #sealer: StridedSealer;
  #sink: PatchSink | undefined;
  #sizeBytes = 0;
  /** As it is written. */
  #header: Buffer | undefined;
  /** The record that the file ends with, if that is of a hole. */
  #lastHole: { readonly index: number; readonly recordBytes: number } | undefined;

  constructor(sealer: StridedSealer) {
    this.#sealer = sealer;
    this.chunkBytes = sealer.chunkSizeBytes;
  }

  mostStoredBytes(sizeBytes: number): number {
    return stridedSizeBytes(this.#sealer, sizeBytes);
  }

  begin(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes;
    this.#lastHole = undefined;
    this.#header = undefined;
  }

  into(sink: PatchSink): void {
    this.#sink = sink;
    this.#header = undefined;
  }

  mustSeal(offsetBytes: number, lengthBytes: number, beforeBytes: number): boolean {
    if (beforeBytes === this.#sizeBytes) return false;
    return [beforeBytes, this.#sizeBytes].some((size) => {
      const lastAt = (this.#chunkCount(size) - 1) * this.chunkBytes;
      return lastAt >= offsetBytes && lastAt < offsetBytes + lengthBytes;
    });
  }

  async keep(offsetBytes: number, lengthBytes: number): Promise<void> {
    const from = this.#sealer.offset(offsetBytes / this.chunkBytes);
    const endBytes = offsetBytes + lengthBytes;
    // the last chunk is kept only if the end is where it was
    const to =
      endBytes === this.#sizeBytes
        ? stridedSizeBytes(this.#sealer, endBytes)
        : this.#sealer.offset(endBytes / this.chunkBytes);
    await this.#beginWithHeader();
    await this.#target().keep(from, to - from);
  }

  async zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    const index = offsetBytes / this.chunkBytes;
    const endBytes = offsetBytes + lengthBytes;
    const isLast = endBytes === this.#sizeBytes;
    const record = stages.doing('seal', () => this.#sealer.sealHole({ index, isLast }, lengthBytes));
    const at = this.#sealer.offset(index);
    const restAt = at + record.length;
    await this.#beginWithHeader();
    await this.#target().write(at, record);
    if (isLast) this.#lastHole = { index, recordBytes: record.length };
    // what was sealed there is nobody's any more
    await this.#target().zero(restAt, this.#sealer.offset(this.#chunkCount(endBytes)) - restAt);
  }

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    const first = offsetBytes / this.chunkBytes;
    const records = stages.doing('seal', () => {
      const sealed: Buffer[] = [];
      for (let start = 0; start < bytes.length; start += this.chunkBytes) {
        const isLast = offsetBytes + Math.min(start + this.chunkBytes, bytes.length) === this.#sizeBytes;
        const index = first + start / this.chunkBytes;
        sealed.push(
          this.#sealer.sealChunk({ index, isLast }, bytes.subarray(start, start + this.chunkBytes)),
        );
      }
      return Buffer.concat(sealed);
    });
    await this.#beginWithHeader();
    await this.#target().write(this.#sealer.offset(first), records);
  }

  async end(): Promise<StoredFile> {
    const header = await this.#beginWithHeader();
    const hole = this.#lastHole;
    const sizeBytes = hole
      ? this.#sealer.offset(hole.index) + hole.recordBytes
      : stridedSizeBytes(this.#sealer, this.#sizeBytes);
    // most of it is as it was before, which nobody here has seen
    return { sizeBytes, sha256: undefined, header: shortStridedHeader(header) };
  }

  async #beginWithHeader(): Promise<Buffer> {
    if (this.#header !== undefined) return this.#header;
    const header = this.#sealer.header(this.#sizeBytes);
    this.#header = header;
    await this.#target().write(0, header);
    return header;
  }

  #chunkCount(sizeBytes: number): number {
    return Math.ceil(sizeBytes / this.chunkBytes);
  }

  #target(): PatchSink {
    if (!this.#sink) throw new Error('there is no file to write to yet');
    return this.#sink;
  }
}
