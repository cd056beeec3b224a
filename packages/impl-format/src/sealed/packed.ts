import type { KeyObject } from 'node:crypto';
import { NONCE_BYTES, TAG_BYTES } from './aead.ts';
import type { ChunkSeal } from './aead.ts';
import { CHUNK_BITS, IDENTITY_BYTES, PREFIX_BYTES } from './container.ts';
import type { PackedKind } from './container.ts';
import { deriveKey, MANIFEST_LABEL, PACKED_LABEL } from './derive-key.ts';
import { envelopeSizeBytes } from './envelope.ts';

const INDEX_AT = 7;
const LAST_AT = 11;
const ZERO_NONCE = Buffer.alloc(NONCE_BYTES);
/** An index has 32 bits; nothing but a broken program gets there. */
const MOST_CHUNKS = 2 ** 32;
const LABELS = { packed: PACKED_LABEL, manifest: MANIFEST_LABEL } as const;

/** Bytes of a packed file's header: prefix, salt, envelope. */
export function packedHeaderSizeBytes(recipientCount: number): number {
  return IDENTITY_BYTES + envelopeSizeBytes(recipientCount);
}

/** Bytes on the storage of content that is not compressed. */
export function packedSizeBytes(contentBytes: number, recipientCount: number): number {
  const chunks = Math.max(1, Math.ceil(contentBytes / 2 ** CHUNK_BITS));
  return packedHeaderSizeBytes(recipientCount) + contentBytes + chunks * TAG_BYTES;
}

/** What the chunks of one packed file are sealed with, one after another. */
export class PackedSeals {
  readonly #key: KeyObject;
  readonly #header: Buffer;
  #nextIndex = 0;

  constructor(runKey: KeyObject, { kind, header }: { kind: PackedKind; header: Buffer }) {
    this.#header = header;
    this.#key = deriveKey(runKey, LABELS[kind], header.subarray(PREFIX_BYTES, IDENTITY_BYTES));
  }

  /** The nonce is the chunk's number and whether it is the last: under a file's own key none comes twice. */
  next(isLast: boolean): ChunkSeal {
    if (this.#nextIndex >= MOST_CHUNKS) throw new Error('a packed file has too many chunks');
    const nonce = Buffer.from(ZERO_NONCE);
    nonce.writeUInt32BE(this.#nextIndex++, INDEX_AT);
    nonce[LAST_AT] = isLast ? 1 : 0;
    return { key: this.#key, nonce, aad: this.#header };
  }
}
