import type { ZstdFrames } from './frames.ts';

/** What storages allocate by. Content that fits one block already gains nothing by becoming smaller. */
const BLOCK_BYTES = 4096;
const SAMPLE_BYTES = 1024;
const SAMPLE_PIECES = 8;
/** Bits a byte. Random, encrypted and compressed bytes reach 7.8 in a sample of this size; texts 4 to 6, programs 5 to 7. */
const TOO_DENSE = 7.5;
/** n · log2(n) for every count that a sample can have. */
const WEIGHT = Float64Array.from({ length: SAMPLE_BYTES + 1 }, (_, n) => (n < 2 ? 0 : n * Math.log2(n)));
const counts = new Uint16Array(256);

/**
 * `content` as one zstd frame if that saves at least one block of storage, else undefined. A look at 1 KiB of it costs
 * 2 µs and spares most of what is compressed already the try.
 *
 * @param options - `overheadBytes`: what lies around it on the storage
 * @returns good until `frames` makes the next
 */
export function compressIfSmaller(
  content: Buffer,
  { overheadBytes, frames }: { overheadBytes: number; frames: ZstdFrames },
): Buffer | undefined {
  if (content.length + overheadBytes <= BLOCK_BYTES || !looksCompressible(content)) return undefined;
  const compressed = frames.compress(content);
  if (compressed === undefined) return undefined;
  const isSmaller = blocks(compressed.length + overheadBytes) < blocks(content.length + overheadBytes);
  return isSmaller ? compressed : undefined;
}

/** By the spread of byte values in pieces from all over it; the start of a stream does as well. */
export function looksCompressible(content: Uint8Array): boolean {
  counts.fill(0);
  const pieceBytes = SAMPLE_BYTES / SAMPLE_PIECES;
  const step = Math.max(pieceBytes, Math.floor(content.length / SAMPLE_PIECES));
  let sampled = 0;
  for (let start = 0; start < content.length && sampled < SAMPLE_BYTES; start += step) {
    const end = Math.min(start + pieceBytes, content.length);
    for (let at = start; at < end; at++) {
      const byte = content[at] ?? 0;
      counts[byte] = (counts[byte] ?? 0) + 1;
    }
    sampled += end - start;
  }
  let weight = WEIGHT[sampled] ?? 0;
  for (let byte = 0; byte < 256; byte++) weight -= WEIGHT[counts[byte] ?? 0] ?? 0;
  return sampled > 0 && weight / sampled < TOO_DENSE;
}

function blocks(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES);
}
