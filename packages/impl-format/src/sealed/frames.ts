import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

const PARAMS = { [constants.ZSTD_c_compressionLevel]: 1 };
const LEAST_CHUNK_BYTES = 1024;
const MOST_COMPRESSED_CHUNK_BYTES = 128 * 1024;
const MOST_CHUNK_BYTES = 256 * 1024;

/** Makes and undoes whole zstd frames (RFC 8878) of contents that are in memory. */
export interface ZstdFrames {
  /** One frame, good until the next call; undefined, or a larger one, if it would not be smaller. */
  compress(content: Buffer): Buffer | undefined;
  /** The content, a new buffer. @param mostBytes - more than this is `too long` */
  decompress(frame: Buffer, mostBytes: number): Buffer | 'damaged' | 'too long';
}

/** By what Node.js carries along. It makes a context for every frame. */
export const nodeFrames: ZstdFrames = {
  compress: (content) =>
    zstdCompressSync(content, {
      chunkSize: Math.min(Math.max(content.length, LEAST_CHUNK_BYTES), MOST_COMPRESSED_CHUNK_BYTES),
      // lets it take tables of the content's size, and a reader a window of it
      pledgedSrcSize: content.length,
      params: PARAMS,
    }),
  decompress(frame, mostBytes) {
    try {
      const content = zstdDecompressSync(frame, {
        maxOutputLength: Math.max(1, mostBytes),
        // a byte more than is due, so that one piece of memory is enough to see the end
        chunkSize: Math.min(Math.max(mostBytes + 1, LEAST_CHUNK_BYTES), MOST_CHUNK_BYTES),
      });
      return content.length > mostBytes ? 'too long' : content;
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
      return code === 'ERR_BUFFER_TOO_LARGE' ? 'too long' : 'damaged';
    }
  },
};
