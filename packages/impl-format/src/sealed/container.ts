import { SealedError } from './sealed-error.ts';

/** Every sealed file starts with these. */
export const MAGIC = Buffer.from('BKSL');
export const VERSION = 1;
export const PREFIX_BYTES = 8;
export const SALT_BYTES = 24;
/** Prefix and salt: what never changes in the life of a sealed file, and what everything in it is bound to. */
export const IDENTITY_BYTES = PREFIX_BYTES + SALT_BYTES;
/** 64 KiB: the block that a change costs, and enough that the work for each chunk does not count. */
export const CHUNK_BITS = 16;
const LEAST_CHUNK_BITS = 12;
const MOST_CHUNK_BITS = 24;

/** A manifest is packed, too, with a kind of its own: else whatever a server backs up could be passed off as one. */
const KINDS = { packed: 1, strided: 2, manifest: 3 } as const;
export type SealedKind = keyof typeof KINDS;
export type PackedKind = Exclude<SealedKind, 'strided'>;

export interface Prefix {
  readonly kind: SealedKind;
  readonly isCompressed: boolean;
  readonly chunkSizeBytes: number;
}

export function encodePrefix(prefix: {
  kind: SealedKind;
  isCompressed: boolean;
  chunkBits?: number;
}): Buffer {
  const { kind, isCompressed, chunkBits = CHUNK_BITS } = prefix;
  return Buffer.concat([MAGIC, Buffer.of(VERSION, KINDS[kind], isCompressed ? 1 : 0, chunkBits)]);
}

/** Whether these first bytes (4 are enough) say that it is sealed. Says nothing about whether that is true. */
export function looksSealed(start: Buffer): boolean {
  return start.subarray(0, MAGIC.length).equals(MAGIC);
}

/** @throws SealedError NOT_SEALED, TRUNCATED, VERSION or MALFORMED */
export function readPrefix(bytes: Buffer): Prefix {
  if (!looksSealed(bytes)) {
    const isCut = bytes.length < MAGIC.length && MAGIC.indexOf(bytes) === 0;
    if (isCut) throw new SealedError('TRUNCATED', 'it ends in the header');
    throw new SealedError('NOT_SEALED', 'it is not sealed, or its first bytes are damaged');
  }
  const [version, kindNumber, compression, chunkBits] = bytes.subarray(MAGIC.length, PREFIX_BYTES);
  if (version === undefined || kindNumber === undefined) throw endsEarly();
  if (compression === undefined || chunkBits === undefined) throw endsEarly();
  if (version !== VERSION) {
    throw new SealedError(
      'VERSION',
      `it is sealed in version ${version}, and only version ${VERSION} is known`,
    );
  }
  const kind = kindOf(kindNumber);
  if (kind === undefined || compression > (kind === 'packed' ? 1 : 0)) {
    throw new SealedError('MALFORMED', 'the header names a form that is not known');
  }
  if (chunkBits < LEAST_CHUNK_BITS || chunkBits > MOST_CHUNK_BITS) {
    throw new SealedError('MALFORMED', `the header names chunks of 2^${chunkBits} bytes`);
  }
  return { kind, isCompressed: compression === 1, chunkSizeBytes: 2 ** chunkBits };
}

function kindOf(kindNumber: number): SealedKind | undefined {
  if (kindNumber === KINDS.packed) return 'packed';
  if (kindNumber === KINDS.strided) return 'strided';
  return kindNumber === KINDS.manifest ? 'manifest' : undefined;
}

function endsEarly(): SealedError {
  return new SealedError('TRUNCATED', 'it ends in the header');
}
