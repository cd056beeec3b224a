import { ByteFeed } from './byte-feed.ts';
import { IDENTITY_BYTES, readPrefix } from './container.ts';
import type { Prefix, SealedKind } from './container.ts';
import { envelopeRecipients, readEnvelope } from './envelope.ts';
import type { Keyring } from './keyring.ts';
import { openPackedBuffer, openPackedStream } from './packed-open.ts';
import type { OpenSmallOptions } from './packed-open.ts';
import { SealedError } from './sealed-error.ts';
import { readStridedHeader } from './strided-header.ts';
import { openStridedStream } from './strided-stream.ts';
import type { OpenedChunk } from './strided-open.ts';

const ZEROS = Buffer.alloc(64 * 1024);

/** What a header says to anybody. */
export interface SealedHeader {
  readonly kind: SealedKind;
  readonly isCompressed: boolean;
  readonly chunkSizeBytes: number;
  /** Short names of the keys that can open it, of each run that sealed some of it. */
  readonly recipients: readonly (readonly string[])[];
}

/**
 * Reads a header without a key; what it says may be untrue.
 *
 * @param bytes - from the start of the file: 2 KiB of a packed one or a manifest, all of a strided one's header
 * @throws SealedError
 */
export function readSealedHeader(bytes: Buffer): SealedHeader {
  const prefix = readPrefix(bytes);
  const envelopes =
    prefix.kind === 'strided' ? readStridedHeader(bytes).envelopes : [readEnvelope(bytes, IDENTITY_BYTES)];
  return { ...prefix, recipients: envelopes.map(envelopeRecipients) };
}

/**
 * Opens a packed content that is all in memory: the counterpart of `sealSmall`.
 *
 * @param options - `mostBytes`: the size that the manifest names; more is refused
 * @throws SealedError
 */
export function openSmall(sealed: Buffer, options: OpenSmallOptions): Buffer {
  const { kind } = readPrefix(sealed);
  if (kind === 'manifest') throw notContent();
  if (kind === 'strided') throw new SealedError('MALFORMED', 'it is strided, not packed');
  return openPackedBuffer(sealed, options);
}

/**
 * Opens a sealed content, packed or strided, from a stream, in data and holes. Nothing is given out before it proved true;
 * that the whole is complete is known only when it has ended. Stopping early releases the source. A manifest is refused.
 *
 * @throws SealedError; what `source` throws comes through as it is
 */
export async function* openSealedPieces(
  source: AsyncIterable<Uint8Array>,
  keyring: Keyring,
): AsyncGenerator<OpenedChunk> {
  await using feed = new ByteFeed(source);
  const { identity, prefix } = await takeIdentity(feed);
  const { kind } = prefix;
  if (kind === 'manifest') throw notContent();
  if (kind === 'strided') yield* openStridedStream(feed, identity, keyring);
  else
    for await (const data of openPackedStream(feed, { identity, kind, prefix }, keyring))
      yield { kind: 'data', data };
}

/**
 * The compressed stream of a sealed manifest, as `openSealedPieces` gives contents. A content is refused: whoever can put a
 * file in a backup decides what is in it, and the storage where it lies.
 *
 * @throws SealedError; what `source` throws comes through as it is
 */
export async function* openSealedManifest(
  source: AsyncIterable<Uint8Array>,
  keyring: Keyring,
): AsyncGenerator<Buffer> {
  await using feed = new ByteFeed(source);
  const { identity, prefix } = await takeIdentity(feed);
  const { kind } = prefix;
  if (kind !== 'manifest')
    throw new SealedError('MALFORMED', 'it is the content of a file, and not a manifest');
  yield* openPackedStream(feed, { identity, kind, prefix }, keyring);
}

/** A content as bytes: holes are zeros. */
export async function* openSealed(
  source: AsyncIterable<Uint8Array>,
  keyring: Keyring,
): AsyncGenerator<Buffer> {
  for await (const piece of openSealedPieces(source, keyring)) {
    if (piece.kind === 'data') yield piece.data;
    else {
      for (let left = piece.lengthBytes; left > 0; left -= ZEROS.length) {
        yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
      }
    }
  }
}

async function takeIdentity(feed: ByteFeed): Promise<{ identity: Buffer; prefix: Prefix }> {
  const identity = Buffer.from(await feed.take(IDENTITY_BYTES));
  const prefix = readPrefix(identity);
  if (identity.length < IDENTITY_BYTES) throw new SealedError('TRUNCATED', 'it ends in the header');
  return { identity, prefix };
}

function notContent(): SealedError {
  return new SealedError('MALFORMED', 'it is a manifest, and not the content of a file');
}
