import type { Extent } from '@bakker/impl-format';
import { HOLE_RECORD_BYTES } from '@bakker/impl-format/sealed';
import type { OpenedChunk, StridedOpener } from '@bakker/impl-format/sealed';

/** Beginnings of records that are asked for at once, to see where a hole begins: one, then more and more. */
const MOST_AT_ONCE = 64;

/** Reads stretches of a stored file in order; what lies behind its end is left out. */
export type ReadStored = (extents: readonly Extent[]) => AsyncIterable<Piece>;

export interface Piece {
  readonly offsetBytes: number;
  readonly bytes: Buffer;
}

export type PlacedChunk = OpenedChunk & { readonly offsetBytes: number };

/**
 * The chunks that extents touch, each read once, in ascending order. The extents are where the content has data by what its
 * manifest says, and the file's own holes may be others: a block that became zeros is one, and a content that is stored already
 * is linked to, however it lies there.
 *
 * @throws SealedError; what `read` throws comes through as it is
 */
export async function* openChunks(
  read: ReadStored,
  opener: StridedOpener,
  extents: readonly Extent[],
): AsyncGenerator<PlacedChunk> {
  const { chunkSizeBytes, contentBytes } = opener;
  const stretches = chunkStretches(opener, extents);
  await using records = new RecordFeed(read(stretches.map((stretch) => storedExtent(opener, stretch))));
  /** A record starts here, or a hole ends. */
  let startAt = 0;
  for (const { from, to } of stretches) {
    for (let index = from; index < to; index++) {
      const record = await records.take(mostRecordBytes(opener, index));
      const offsetBytes = index * chunkSizeBytes;
      if (index > startAt && isBlank(record))
        startAt = await startAfter(read, opener, { from: startAt, index });
      if (index < startAt) {
        yield {
          kind: 'hole',
          lengthBytes: Math.min(chunkSizeBytes, contentBytes - offsetBytes),
          offsetBytes,
        };
        continue;
      }
      const chunk = opener.openChunk(index, record);
      startAt = index + chunksOf(opener, chunk);
      if (chunk.kind === 'data') yield { ...chunk, offsetBytes };
      else yield { kind: 'hole', lengthBytes: Math.min(chunk.lengthBytes, chunkSizeBytes), offsetBytes };
    }
  }
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

function storedExtent(opener: StridedOpener, { from, to }: Stretch): Extent {
  const offsetBytes = opener.offset(from);
  const last = to - 1;
  return { offsetBytes, lengthBytes: opener.offset(last) + mostRecordBytes(opener, last) - offsetBytes };
}

/** Where the content ends with a few bytes, a hole's record is the longer one. */
function mostRecordBytes(opener: StridedOpener, index: number): number {
  return Math.max(opener.recordSizeBytes(index), HOLE_RECORD_BYTES);
}

function chunksOf({ chunkSizeBytes }: StridedOpener, chunk: OpenedChunk): number {
  return chunk.kind === 'data' ? 1 : Math.ceil(chunk.lengthBytes / chunkSizeBytes);
}

/** No record begins so: its random bytes are zeros once in 2^128. */
function isBlank(record: Buffer): boolean {
  return record.subarray(0, HOLE_RECORD_BYTES).every((byte) => byte === 0);
}

/**
 * Where the hole ends that a chunk without a record lies in, by the record that the hole begins with: it proves that there is
 * one. Walks from record to record, as each says how many chunks it is for.
 *
 * @returns `index` if there is no such hole
 */
async function startAfter(
  read: ReadStored,
  opener: StridedOpener,
  { from, index }: { from: number; index: number },
): Promise<number> {
  let atOnce = 1;
  for (let at = from; at < index; atOnce = Math.min(2 * atOnce, MOST_AT_ONCE)) {
    const first = at;
    const count = Math.min(atOnce, index - first);
    const starts = await Promise.all(
      Array.from({ length: count }, (_, more) =>
        gather(read, { offsetBytes: opener.offset(first + more), lengthBytes: HOLE_RECORD_BYTES }),
      ),
    );
    for (const [more, start] of starts.entries()) {
      const next = first + more;
      if (next < at) continue;
      const isWhole = opener.recordSizeBytes(next, start) <= start.length;
      at += isWhole ? chunksOf(opener, opener.openChunk(next, start)) : 1;
      if (at > index) return at;
    }
  }
  return index;
}

/** A stretch whole; less at the end of the file. */
export async function gather(read: ReadStored, extent: Extent): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const { bytes } of read([extent])) pieces.push(bytes);
  return Buffer.concat(pieces);
}

/** Bytes of pieces that follow one another, in the lengths that are wanted. Holds one of these and a piece. */
class RecordFeed implements AsyncDisposable {
  readonly #pieces: AsyncIterator<Piece>;
  #held: Buffer = Buffer.alloc(0);
  #hasEnded = false;

  constructor(pieces: AsyncIterable<Piece>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Fewer at the end of the file. */
  async take(lengthBytes: number): Promise<Buffer> {
    while (this.#held.length < lengthBytes && !this.#hasEnded) {
      const next = await this.#pieces.next();
      if (next.done === true) this.#hasEnded = true;
      else
        this.#held =
          this.#held.length === 0 ? next.value.bytes : Buffer.concat([this.#held, next.value.bytes]);
    }
    const taken = this.#held.subarray(0, lengthBytes);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) await this.#pieces.return?.();
    this.#hasEnded = true;
  }
}
