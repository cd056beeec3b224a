import type { Extent } from '@bakker/impl-format';
import { openSealedPieces, openSmall, openStrided, SealedError } from '@bakker/impl-format/sealed';
import type { Keyring, OpenedChunk, StridedOpener } from '@bakker/impl-format/sealed';
import { SealBroken } from '../ports/storage-account.ts';
import type { WantedContent } from '../ports/storage-account.ts';
import { gather, openChunks } from './open-chunks.ts';
import type { Piece, ReadStored } from './open-chunks.ts';
import { stages } from '../timings/stages.ts';

/** Any header but that of a file which hundreds of runs changed. */
const START_BYTES = 64 * 1024;
/** Header and tags of the largest kind: what lies around a small content. */
const MOST_AROUND_BYTES = 2 * 1024;
const CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const EVERYTHING: readonly Extent[] = [{ offsetBytes: 0, lengthBytes: Number.MAX_SAFE_INTEGER }];

/** What the sealed file of a content has at the most, if it is packed. */
export function mostStoredBytes(contentBytes: number): number {
  return contentBytes + MOST_AROUND_BYTES + Math.ceil(contentBytes / CHUNK_BYTES) * TAG_BYTES;
}

/**
 * A small content; undefined if it has to be read as a large one.
 *
 * @param sizeBytes - that it should have; a longer one is refused
 * @throws SealBroken
 */
export function openWhole(
  stored: Buffer,
  { keyring, sizeBytes }: { keyring: Keyring; sizeBytes: number },
): Buffer | undefined {
  try {
    return stages.doing('seal', () => openSmall(stored, { keyring, mostBytes: sizeBytes }));
  } catch (error) {
    if (error instanceof SealedError && error.code === 'MALFORMED' && isStrided(stored)) return undefined;
    throw broken(error);
  }
}

/**
 * A content's data in order: what of it lies in the extents. Of a file with holes only the chunks that have data are read. What
 * is longer than it should be is refused, before a few hostile bytes become gigabytes.
 *
 * @throws SealBroken; what `read` throws comes through as it is
 */
export async function* openExtents(
  read: ReadStored,
  { extents, sizeBytes }: WantedContent,
  keyring: Keyring,
): AsyncGenerator<Piece> {
  try {
    const isWhole = extents.length === 1 && extents[0]?.offsetBytes === 0;
    const opener = isWhole ? undefined : await openHeader(read, keyring);
    const chunks =
      opener === undefined
        ? openSealedPieces(bytesOf(read(EVERYTHING)), keyring)
        : openChunks(read, opener, extents);
    yield* cut(chunks, { extents, sizeBytes });
  } catch (error) {
    throw broken(error);
  }
}

/** The header of a strided file; undefined for a packed one. */
async function openHeader(read: ReadStored, keyring: Keyring): Promise<StridedOpener | undefined> {
  const start = await gather(read, { offsetBytes: 0, lengthBytes: START_BYTES });
  if (!isStrided(start)) return undefined;
  return openStrided(async (offsetBytes, lengthBytes) => {
    const isAtHand = start.length < START_BYTES || offsetBytes + lengthBytes <= start.length;
    return isAtHand
      ? start.subarray(offsetBytes, offsetBytes + lengthBytes)
      : gather(read, { offsetBytes, lengthBytes });
  }, keyring);
}

/** What of the content lies in the extents; a hole there is zeros. A chunk without a place follows the one before it. */
async function* cut(
  chunks: AsyncIterable<OpenedChunk & { readonly offsetBytes?: number }>,
  { extents, sizeBytes }: WantedContent,
): AsyncGenerator<Piece> {
  let number = 0;
  let atBytes = 0;
  const isWhole = extents.length === 1 && extents[0]?.offsetBytes === 0;
  for await (const chunk of chunks) {
    atBytes = chunk.offsetBytes ?? atBytes;
    const lengthBytes = chunk.kind === 'data' ? chunk.data.length : chunk.lengthBytes;
    const endBytes = atBytes + lengthBytes;
    if (endBytes > sizeBytes) throw tooLong();
    for (let extent = extents[number]; extent !== undefined; extent = extents[++number]) {
      const from = Math.max(extent.offsetBytes, atBytes);
      const to = Math.min(extent.offsetBytes + extent.lengthBytes, endBytes);
      if (chunk.kind === 'data') {
        if (from < to) yield { offsetBytes: from, bytes: chunk.data.subarray(from - atBytes, to - atBytes) };
      } else yield* zeros(from, to);
      if (extent.offsetBytes + extent.lengthBytes > endBytes) break;
    }
    if (number === extents.length) {
      // of a file with holes nobody asked for the rest; else it is read to its end, to know that it has one
      if (!isWhole) return;
      const knownBytes = Math.max((extents[0]?.lengthBytes ?? 0) - atBytes, 0);
      if (chunk.kind === 'data' && chunk.data.subarray(knownBytes).some((byte) => byte !== 0))
        throw tooLong();
    }
    atBytes = endBytes;
  }
}

function tooLong(): SealedError {
  return new SealedError('DAMAGED', 'it is longer than the manifest says');
}

function* zeros(from: number, to: number): Generator<Piece> {
  for (let offsetBytes = from; offsetBytes < to; offsetBytes += CHUNK_BYTES) {
    yield { offsetBytes, bytes: Buffer.alloc(Math.min(CHUNK_BYTES, to - offsetBytes)) };
  }
}

async function* bytesOf(pieces: AsyncIterable<Piece>): AsyncGenerator<Buffer> {
  for await (const { bytes } of pieces) yield bytes;
}

function isStrided(start: Buffer): boolean {
  return start[KIND_AT] === STRIDED;
}

const KIND_AT = 5;
const STRIDED = 2;

function broken(error: unknown): unknown {
  if (!(error instanceof SealedError)) return error;
  return new SealBroken(`it does not open: ${error.message}`, { cause: error });
}
