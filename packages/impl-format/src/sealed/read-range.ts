import { STRIDED_START_BYTES, stridedHeaderSizeBytes } from './strided-header.ts';
import { StridedOpener } from './strided-open.ts';
import type { Keyring } from './keyring.ts';

/** Gives `lengthBytes` from `offsetBytes` of a sealed file, fewer only at its end. */
export type ReadAt = (offsetBytes: number, lengthBytes: number) => Promise<Buffer>;

/** Where a file has data; what the manifest says of it. */
export interface DataExtent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A part of a content. */
export interface ByteRange {
  readonly fromBytes: number;
  /** Not included; its end if that comes first. */
  readonly toBytes: number;
  /** Extents from a manifest that proved true: what lies in none of them is known to be zeros, and is not read. */
  readonly extents?: readonly DataExtent[];
}

/**
 * Opens a strided file for reading parts of it: two reads.
 *
 * @throws SealedError
 */
export async function openStrided(readAt: ReadAt, keyring: Keyring): Promise<StridedOpener> {
  const start = await readAt(0, STRIDED_START_BYTES);
  return new StridedOpener(await readAt(0, stridedHeaderSizeBytes(start)), keyring);
}

/**
 * Content from `fromBytes` up to `toBytes` (or its end), in pieces of at most a chunk, each when it proved true.
 *
 * Each chunk is one that was sealed for its place in this file, but with nothing else to compare with, a storage can show
 * one as it was in an earlier run; only the hash of the whole content tells.
 *
 * @throws SealedError, DAMAGED also inside a hole of which the extents were not told
 */
export async function* readStridedRange(
  { opener, readAt }: { opener: StridedOpener; readAt: ReadAt },
  { fromBytes, toBytes, extents }: ByteRange,
): AsyncGenerator<Buffer> {
  const { chunkSizeBytes } = opener;
  const endBytes = Math.min(toBytes, opener.contentBytes);
  for (let at = fromBytes; at < endBytes;) {
    const index = Math.floor(at / chunkSizeBytes);
    const chunkAt = index * chunkSizeBytes;
    const chunkEnd = Math.min(chunkAt + chunkSizeBytes, opener.contentBytes);
    const stop = Math.min(chunkEnd, endBytes);
    if (extents?.some((extent) => touches(extent, chunkAt, chunkEnd)) === false) {
      yield Buffer.alloc(stop - at);
    } else {
      const record = await readAt(opener.offset(index), opener.recordSizeBytes(index));
      const chunk = opener.openChunk(index, record);
      yield chunk.kind === 'hole'
        ? Buffer.alloc(stop - at)
        : chunk.data.subarray(at - chunkAt, stop - chunkAt);
    }
    at = stop;
  }
}

function touches({ offsetBytes, lengthBytes }: DataExtent, from: number, to: number): boolean {
  return offsetBytes < to && offsetBytes + lengthBytes > from;
}
