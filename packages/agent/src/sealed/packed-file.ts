import { ZstdCompressor } from '@bakker/impl-format';
import { looksCompressible } from '@bakker/impl-format/sealed';
import type { PackedStream, Sealer } from '@bakker/impl-format/sealed';
import type { FileSink } from '../ports/storage-account.ts';
import { Appending } from './appending.ts';
import type { SealedFile, StoredFile } from './sealing.ts';

const ZEROS = Buffer.alloc(64 * 1024);

/** A file of a few MiB: compressed if its first piece looks like it. Holes are content; they compress well. */
export class PackedFile implements SealedFile {
  readonly #sealer: Sealer;
  readonly #out: Appending;
  readonly #sizeBytes: number;
  #stream: PackedStream | undefined;
  #compressor: ZstdCompressor | undefined;
  #doneBytes = 0;

  constructor(
    sealer: Sealer,
    sink: FileSink,
    { sizeBytes, isHashed }: { sizeBytes: number; isHashed: boolean },
  ) {
    this.#sealer = sealer;
    this.#out = new Appending(sink, isHashed);
    this.#sizeBytes = sizeBytes;
  }

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    await this.#zerosUpTo(offsetBytes);
    await this.#push(bytes);
  }

  async end(): Promise<StoredFile> {
    await this.#zerosUpTo(this.#sizeBytes);
    if (this.#doneBytes !== this.#sizeBytes) throw new Error('more was written than the file has');
    const stream = this.#streamFor(ZEROS);
    if (this.#compressor !== undefined) {
      await this.#compressor.end();
      await this.#takeCompressed(this.#compressor, stream);
    }
    await this.#out.add(stream.finish());
    return this.#out.end();
  }

  [Symbol.dispose](): void {
    this.#compressor?.[Symbol.dispose]();
    this.#compressor = undefined;
  }

  async #zerosUpTo(offsetBytes: number): Promise<void> {
    while (this.#doneBytes < offsetBytes) {
      await this.#push(ZEROS.subarray(0, Math.min(ZEROS.length, offsetBytes - this.#doneBytes)));
    }
  }

  async #push(bytes: Buffer): Promise<void> {
    const stream = this.#streamFor(bytes);
    this.#doneBytes += bytes.length;
    if (this.#compressor === undefined) {
      await this.#out.add(stream.push(bytes));
      return;
    }
    await this.#compressor.write(bytes);
    await this.#takeCompressed(this.#compressor, stream);
  }

  #streamFor(first: Buffer): PackedStream {
    if (this.#stream !== undefined) return this.#stream;
    const isCompressed = this.#sizeBytes > 0 && looksCompressible(first);
    if (isCompressed) this.#compressor = new ZstdCompressor();
    return (this.#stream = this.#sealer.sealStream(isCompressed ? 'zstd' : 'as it is'));
  }

  async #takeCompressed(compressor: ZstdCompressor, stream: PackedStream): Promise<void> {
    for (const compressed of compressor.take()) {
      await this.#out.add(
        stream.push(Buffer.from(compressed.buffer, compressed.byteOffset, compressed.length)),
      );
    }
  }
}
