import { createSecretKey, randomBytes } from 'node:crypto';
import { ZstdCompressor } from '../zstd.ts';
import { sealEnvelope } from './envelope.ts';
import { KEY_BYTES } from './key-pair.ts';
import type { PublicKey } from './key-pair.ts';
import { packedSizeBytes } from './packed.ts';
import { PackedStream, SmallSealer } from './packed-seal.ts';
import type { RunKey } from './packed-seal.ts';
import { defaultHeaderSizeBytes } from './strided-header.ts';
import type { StridedHeader } from './strided-header.ts';
import { StridedSealer } from './strided-seal.ts';

/** Contents of this size and more are strided, so that a change costs its chunks and not the file. */
export const STRIDED_FROM_BYTES = 8 * 1024 * 1024;

/** Seals all that one process stores in one run. Its key lives in it alone, and is never written anywhere in the clear. */
export class Sealer {
  readonly recipientCount: number;
  /** For a `SmallSealer` on another thread: it goes there as it is, and cannot be looked at. */
  readonly runKey: RunKey;
  readonly #small: SmallSealer;

  /** Draws the run's key: milliseconds. @param recipients - 1 to 32, no two alike */
  constructor(recipients: readonly PublicKey[]) {
    this.recipientCount = recipients.length;
    const key = randomBytes(KEY_BYTES);
    this.runKey = { key: createSecretKey(key), envelope: sealEnvelope(key, recipients) };
    key.fill(0);
    this.#small = new SmallSealer(this.runKey);
  }

  /**
   * Seals a whole content into one new buffer: packed; compressed if that saves storage. For contents that are in memory
   * anyway: 6 to 10 µs for 7 KB, and what compression takes (25 µs, `compression: 'none'` leaves it out).
   */
  sealSmall(
    content: Buffer,
    { compression }: { compression: 'auto' | 'none' } = { compression: 'auto' },
  ): Buffer {
    return this.#small.seal(content, compression === 'auto');
  }

  /**
   * Seals a content that comes in pieces as it is, packed. Holds one chunk.
   *
   * @param form - `zstd`: the pieces are one zstd frame, which is undone when it is opened
   */
  sealStream(form: 'as it is' | 'zstd' = 'as it is'): PackedStream {
    return new PackedStream(this.runKey, form);
  }

  /** Seals the stream of a manifest, which is compressed already. What it gives opens as a manifest, and as nothing else. */
  sealManifest(): PackedStream {
    return new PackedStream(this.runKey, 'manifest');
  }

  /** The same compressed, for a content that `looksCompressible`. Holds 2 MiB. */
  async *sealCompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
    const stream = this.sealStream('zstd');
    using compressor = new ZstdCompressor();
    for await (const piece of source) {
      await compressor.write(piece);
      for (const compressed of compressor.take()) yield* stream.push(compressed);
    }
    await compressor.end();
    for (const compressed of compressor.take()) yield* stream.push(compressed);
    yield* stream.finish();
  }

  /** Starts a large file. @param contentBytes - as far as known: room for later keys is chosen by it */
  strided(contentBytes: number): StridedSealer {
    return new StridedSealer(this.runKey, { headerSizeBytes: defaultHeaderSizeBytes(contentBytes) });
  }

  /**
   * Goes on with a large file that an earlier run sealed, by its header: changed chunks are sealed with this run's key. The
   * last chunk must be sealed again, too, if the content's end moves.
   *
   * @param header - as this server remembers it: one that only the storage vouches for can have been altered
   * @throws SealedError TABLE_FULL when the file must be sealed anew as a whole
   */
  continueStrided(header: StridedHeader): StridedSealer {
    return new StridedSealer(this.runKey, header);
  }

  /** Bytes that a packed content takes if it is not compressed: what a progress or a space limit may count with. */
  packedSizeBytes(contentBytes: number): number {
    return packedSizeBytes(contentBytes, this.recipientCount);
  }
}
