/** What a change costs at least, up to files of 64 GiB. */
const LEAST_BLOCK_BYTES = 64 * 1024;
const MOST_BLOCK_BYTES = 1024 * 1024;
/** Fingerprints of one file: 16 MiB, until blocks can't be any larger. */
const BLOCKS_OF_A_FILE = 1024 * 1024;

/** Of a larger file no fingerprints are made, which would take more than 64 MiB of memory: it is sent whole when it changes. */
export const MOST_BLOCKS_BYTES = 4 * 1024 ** 4;

/** Bytes of a block of a file that is read for the first time. One that has fingerprints keeps the size that they have. */
export function blockBytesFor(sizeBytes: number): number {
  let blockBytes = LEAST_BLOCK_BYTES;
  while (blockBytes < MOST_BLOCK_BYTES && sizeBytes > blockBytes * BLOCKS_OF_A_FILE) blockBytes *= 2;
  return blockBytes;
}
