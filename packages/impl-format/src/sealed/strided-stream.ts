import type { ByteFeed } from './byte-feed.ts';
import type { Keyring } from './keyring.ts';
import { SealedError } from './sealed-error.ts';
import { CHUNK_OVERHEAD_BYTES } from './strided-chunk.ts';
import { STRIDED_START_BYTES, stridedHeaderSizeBytes } from './strided-header.ts';
import { StridedOpener } from './strided-open.ts';
import type { OpenedChunk } from './strided-open.ts';

const SKIPPED_AT_ONCE_BYTES = 64 * 1024;

/**
 * Opens a strided file from a stream whose first bytes were read: `identity`. Gives each chunk when it proved true.
 * Holds the header, a chunk and a piece.
 */
export async function* openStridedStream(
  feed: ByteFeed,
  identity: Buffer,
  keyring: Keyring,
): AsyncGenerator<OpenedChunk> {
  const start = Buffer.concat([identity, await feed.takeAll(STRIDED_START_BYTES - identity.length)]);
  const rest = await feed.takeAll(stridedHeaderSizeBytes(start) - start.length);
  const opener = new StridedOpener(Buffer.concat([start, rest]), keyring);
  let index = 0;
  let readBytes = opener.offset(0);
  while (index < opener.chunkCount) {
    await skipZeros(feed, opener.offset(index) - readBytes);
    const sizeBytes = opener.recordSizeBytes(index, await feed.peek(CHUNK_OVERHEAD_BYTES));
    const chunk = opener.openChunk(index, await feed.takeAll(sizeBytes));
    readBytes = opener.offset(index) + sizeBytes;
    const coveredBytes = chunk.kind === 'hole' ? chunk.lengthBytes : chunk.data.length;
    index += Math.ceil(coveredBytes / opener.chunkSizeBytes);
    yield chunk;
  }
  if (!(await feed.isAtEnd())) throw new SealedError('DAMAGED', 'bytes follow the end');
}

/** A hole of the content is one of the sealed file, too: there must be nothing in it. */
async function skipZeros(feed: ByteFeed, lengthBytes: number): Promise<void> {
  for (let left = lengthBytes; left > 0;) {
    const piece = await feed.takeAll(Math.min(left, SKIPPED_AT_ONCE_BYTES));
    if (piece.some((byte) => byte !== 0)) throw new SealedError('DAMAGED', 'there is something in a hole');
    left -= piece.length;
  }
}
