import { FormatProblem } from '../errors.ts';
import { decompressZstd } from '../zstd.ts';
import { openSealedChunk, TAG_BYTES } from './aead.ts';
import type { ByteFeed } from './byte-feed.ts';
import { IDENTITY_BYTES, readPrefix } from './container.ts';
import type { PackedKind, Prefix } from './container.ts';
import { ENVELOPE_ENTRY_BYTES, ENVELOPE_START_BYTES, readEnvelope } from './envelope.ts';
import { nodeFrames } from './frames.ts';
import type { ZstdFrames } from './frames.ts';
import type { Keyring } from './keyring.ts';
import { PackedSeals } from './packed.ts';
import { SealedError } from './sealed-error.ts';

export interface OpenSmallOptions {
  readonly keyring: Keyring;
  /** More than this is refused, so that a few hostile bytes can't become gigabytes. */
  readonly mostBytes: number;
  readonly frames?: ZstdFrames | undefined;
}

/** Opens a packed content that is all in memory. @throws SealedError */
export function openPackedBuffer(
  sealed: Buffer,
  { keyring, mostBytes, frames = nodeFrames }: OpenSmallOptions,
): Buffer {
  const { isCompressed, chunkSizeBytes } = readPrefix(sealed);
  if (sealed.length < IDENTITY_BYTES) throw new SealedError('TRUNCATED', 'it ends in the header');
  const { key, envelopeBytes } = keyring.runKeyAt(sealed, IDENTITY_BYTES);
  let at = IDENTITY_BYTES + envelopeBytes;
  const seals = new PackedSeals(key, { kind: 'packed', header: sealed.subarray(0, at) });
  const sealedChunkBytes = chunkSizeBytes + TAG_BYTES;
  const pieces: Buffer[] = [];
  do {
    const chunk = sealed.subarray(at, at + sealedChunkBytes);
    at += chunk.length;
    pieces.push(
      openPackedChunk(chunk, { seals, isLast: at === sealed.length, isFirst: pieces.length === 0 }),
    );
  } while (at < sealed.length);
  const [only = Buffer.alloc(0)] = pieces;
  const content = pieces.length === 1 ? only : Buffer.concat(pieces);
  const opened = isCompressed ? decompress(content, mostBytes, frames) : content;
  if (opened.length > mostBytes) throw tooLong(mostBytes);
  return opened;
}

/**
 * Opens a packed content or a manifest from a stream whose prefix and salt were read: `identity`. Gives each chunk when it
 * proved true.
 */
export async function* openPackedStream(
  feed: ByteFeed,
  { identity, kind, prefix }: { identity: Buffer; kind: PackedKind; prefix: Prefix },
  keyring: Keyring,
): AsyncGenerator<Buffer> {
  const envelope = await takeEnvelope(feed);
  const header = Buffer.concat([identity, envelope]);
  const seals = new PackedSeals(keyring.runKey(envelope), { kind, header });
  const chunks = openChunks(feed, seals, prefix.chunkSizeBytes);
  if (!prefix.isCompressed) {
    yield* chunks;
    return;
  }
  try {
    yield* decompressZstd(chunks);
  } catch (cause) {
    if (!(cause instanceof FormatProblem)) throw cause;
    throw new SealedError('DAMAGED', cause.message, { cause });
  }
}

/** An envelope, from where it starts; a copy of its own. */
export async function takeEnvelope(feed: ByteFeed): Promise<Buffer> {
  const start = Buffer.from(await feed.takeAll(ENVELOPE_START_BYTES));
  const count = start[ENVELOPE_START_BYTES - 1] ?? 0;
  const entries = await feed.take(count * ENVELOPE_ENTRY_BYTES);
  return readEnvelope(Buffer.concat([start, entries]), 0);
}

async function* openChunks(
  feed: ByteFeed,
  seals: PackedSeals,
  chunkSizeBytes: number,
): AsyncGenerator<Buffer> {
  let isFirst = true;
  for (;;) {
    const chunk = await feed.take(chunkSizeBytes + TAG_BYTES);
    const isLast = await feed.isAtEnd();
    yield openPackedChunk(chunk, { seals, isLast, isFirst });
    if (isLast) return;
    isFirst = false;
  }
}

function openPackedChunk(
  chunk: Buffer,
  place: { seals: PackedSeals; isLast: boolean; isFirst: boolean },
): Buffer {
  const plain = openSealedChunk(chunk, place.seals.next(place.isLast));
  if (plain.length === 0 && !place.isFirst) throw new SealedError('MALFORMED', 'the last chunk is empty');
  return plain;
}

function decompress(content: Buffer, mostBytes: number, frames: ZstdFrames): Buffer {
  const opened = frames.decompress(content, mostBytes);
  if (opened === 'too long') throw tooLong(mostBytes);
  if (opened === 'damaged') throw new SealedError('DAMAGED', 'what was sealed does not decompress');
  return opened;
}

function tooLong(mostBytes: number): SealedError {
  return new SealedError('DAMAGED', `its content is longer than ${mostBytes} bytes`);
}
