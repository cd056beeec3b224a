import type { Extent } from '@bakker/impl-format';
import { openSealedPieces, openSmall, openStrided, SealedError } from '@bakker/impl-format/sealed';
import type { Keyring, OpenedChunk, StridedOpener } from '@bakker/impl-format/sealed';
import { SealBroken } from '../ports/storage-account.ts';
import { stages } from '../timings/stages.ts';

/** Any header but that of a file which hundreds of runs changed. */
const START_BYTES = 64 * 1024;
/** Header and tags of the largest kind: what lies around a small content. */
const MOST_AROUND_BYTES = 2 * 1024;
const CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const EVERYTHING: readonly Extent[] = [{ offsetBytes: 0, lengthBytes: Number.MAX_SAFE_INTEGER }];

/** Reads stretches of a stored file in order. */
export type ReadStored = (extents: readonly Extent[]) => AsyncIterable<Piece>;

export interface Piece {
  readonly offsetBytes: number;
  readonly bytes: Buffer;
}

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
 * A content's data in order: what of it lies in `extents`. Of a file with holes only the chunks that have data are read.
 *
 * @param extents - of the content, ascending, at least one
 * @throws SealBroken; what `read` throws comes through as it is
 */
export async function* openExtents(
  read: ReadStored,
  extents: readonly Extent[],
  keyring: Keyring,
): AsyncGenerator<Piece> {
  try {
    const isWhole = extents.length === 1 && extents[0]?.offsetBytes === 0;
    const opener = isWhole ? undefined : await openHeader(read, keyring);
    if (opener === undefined) yield* cut(openSealedPieces(bytesOf(read(EVERYTHING)), keyring), extents);
    else yield* openChunks(read, opener, extents);
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

async function gather(read: ReadStored, extent: Extent): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const { bytes } of read([extent])) pieces.push(bytes);
  return Buffer.concat(pieces);
}

/** The chunks that extents touch, each read once, in stretches. */
async function* openChunks(
  read: ReadStored,
  opener: StridedOpener,
  extents: readonly Extent[],
): AsyncGenerator<Piece> {
  const stretches = chunkStretches(opener, extents);
  const stored = stretches.map(({ from, to }) => {
    const offsetBytes = opener.offset(from);
    const last = to - 1;
    return { offsetBytes, lengthBytes: opener.offset(last) + opener.recordSizeBytes(last) - offsetBytes };
  });
  const records = recordsOf(read(stored), opener, stretches);
  yield* cut(records, extents);
}

interface Stretch {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

function chunkStretches(opener: StridedOpener, extents: readonly Extent[]): readonly Stretch[] {
  const stretches: { from: number; to: number }[] = [];
  for (const { offsetBytes, lengthBytes } of extents) {
    const from = Math.floor(offsetBytes / opener.chunkSizeBytes);
    const to = Math.min(Math.ceil((offsetBytes + lengthBytes) / opener.chunkSizeBytes), opener.chunkCount);
    const last = stretches.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else if (from < to) stretches.push({ from, to });
  }
  return stretches;
}

async function* recordsOf(
  pieces: AsyncIterable<Piece>,
  opener: StridedOpener,
  stretches: readonly Stretch[],
): AsyncGenerator<PlacedChunk> {
  const source = pieces[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  try {
    for (const { from, to } of stretches) {
      for (let index = from; index < to; index++) {
        const wantedBytes = opener.recordSizeBytes(index);
        while (held.length < wantedBytes) {
          const next = await source.next();
          if (next.done === true) throw new SealedError('TRUNCATED', 'it ends in a chunk');
          held = held.length === 0 ? next.value.bytes : Buffer.concat([held, next.value.bytes]);
        }
        const chunk = opener.openChunk(index, held.subarray(0, wantedBytes));
        held = held.subarray(wantedBytes);
        const lengthBytes = Math.min(
          opener.chunkSizeBytes,
          opener.contentBytes - index * opener.chunkSizeBytes,
        );
        const offsetBytes = index * opener.chunkSizeBytes;
        yield chunk.kind === 'data' ? { ...chunk, offsetBytes } : { kind: 'hole', lengthBytes, offsetBytes };
      }
    }
  } finally {
    await source.return?.();
  }
}

/** A chunk with its place; without one it follows the one before it. */
type PlacedChunk = OpenedChunk & { readonly offsetBytes?: number };

/** What of the content lies in the extents; a hole there is zeros. */
async function* cut(chunks: AsyncIterable<PlacedChunk>, extents: readonly Extent[]): AsyncGenerator<Piece> {
  let number = 0;
  let atBytes = 0;
  const isWhole = extents.length === 1 && extents[0]?.offsetBytes === 0;
  for await (const chunk of chunks) {
    atBytes = chunk.offsetBytes ?? atBytes;
    const lengthBytes = chunk.kind === 'data' ? chunk.data.length : chunk.lengthBytes;
    const endBytes = atBytes + lengthBytes;
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
        throw new SealedError('DAMAGED', 'it is longer than the manifest says');
    }
    atBytes = endBytes;
  }
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
