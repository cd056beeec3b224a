import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { FormatProblem } from './errors.ts';

const LEVEL = 1;
/** 128 KiB: lines resemble those shortly before them. A larger one takes longer, and makes no less. */
const WINDOW_LOG = 17;
/** 8 MiB, the most that a zstd decoder is asked to provide for (RFC 8878): bounds a reader's memory. */
const MAX_WINDOW_LOG = 23;
const COMPRESSED_PIECE_BYTES = 64 * 1024;
const PLAIN_PIECE_BYTES = 128 * 1024;

/** Compresses into one zstd frame with a checksum. One piece is under way while the next is being made. */
export class ZstdCompressor implements Disposable {
  readonly #stream = createZstdCompress({
    chunkSize: COMPRESSED_PIECE_BYTES,
    params: {
      [constants.ZSTD_c_compressionLevel]: LEVEL,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  });
  #compressed: Uint8Array[] = [];
  #underWay: Promise<void> = Promise.resolve();

  constructor() {
    this.#stream.on('data', (piece: Buffer) => this.#compressed.push(piece));
    // Without a listener the process would die; the callback of the write says the same.
    this.#stream.on('error', () => undefined);
  }

  /** Resolves when the piece before this one was compressed; `piece` is the compressor's from here on. */
  async write(piece: Uint8Array): Promise<void> {
    await this.#underWay;
    this.#underWay = new Promise((resolve, reject) => {
      this.#stream.write(piece, (error) => (error ? reject(error) : resolve()));
    });
    this.#underWay.catch(() => undefined);
  }

  /** What was compressed since the last call. */
  take(): readonly Uint8Array[] {
    const taken = this.#compressed;
    this.#compressed = [];
    return taken;
  }

  /** Ends the frame; `take` then gives the rest. */
  async end(): Promise<void> {
    await this.#underWay;
    await new Promise<void>((resolve, reject) => {
      this.#stream.once('end', resolve).once('error', reject).end();
    });
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }
}

/**
 * Decompresses one zstd frame, in pieces of at most 128 KiB, each the consumer's. Holds a window of at most 8 MiB and a few pieces.
 * Stopping releases the source and the decompressor. Errors of the source come through as they are.
 * @throws FormatProblem DAMAGED or TRUNCATED
 */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const stream = createZstdDecompress({
    chunkSize: PLAIN_PIECE_BYTES,
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
  });
  const feed = new Feed(source, stream);
  const fed = feed.run();
  try {
    for await (const piece of stream) yield asBuffer(piece);
    if (feed.fedBytes !== stream.bytesWritten) throw new FormatProblem('DAMAGED', 'bytes follow the end');
  } catch (error) {
    if (feed.failure !== undefined) throw feed.failure.error;
    throw asFormatProblem(error);
  } finally {
    stream.destroy();
    await fed;
  }
}

type Decompressor = ReturnType<typeof createZstdDecompress>;

/** Carries a source into a decompressor, as fast as that takes it. */
class Feed {
  fedBytes = 0;
  failure: { readonly error: unknown } | undefined;
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #stream: Decompressor;

  constructor(source: AsyncIterable<Uint8Array>, stream: Decompressor) {
    this.#source = source;
    this.#stream = stream;
  }

  /** Resolves when the source has ended, or the decompressor was destroyed; never rejects. */
  async run(): Promise<void> {
    const stream = this.#stream;
    try {
      for await (const piece of this.#source) {
        if (stream.destroyed) return;
        if (piece.length === 0) continue;
        this.fedBytes += piece.length;
        if (!stream.write(piece)) await untilWritable(stream);
      }
      stream.end();
    } catch (error) {
      this.failure = { error };
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

function untilWritable(stream: Decompressor): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
    if (stream.destroyed) done();
  });
}

function asBuffer(piece: unknown): Buffer {
  if (!Buffer.isBuffer(piece)) throw new Error('a decompressor gave something that is no buffer');
  return piece;
}

function asFormatProblem(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (error.code === 'Z_BUF_ERROR') return new FormatProblem('TRUNCATED', 'the compressed stream ends early');
  if (!/^(ZSTD_|Z_)/.test(error.code)) return error;
  return new FormatProblem('DAMAGED', `the compressed stream is damaged (${error.message})`);
}
