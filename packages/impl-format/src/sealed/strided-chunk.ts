import type { KeyObject } from 'node:crypto';
import { NONCE_BYTES, openSealedChunk, sealInto, TAG_BYTES } from './aead.ts';
import type { ChunkSeal } from './aead.ts';
import { CHUNK_LABEL, deriveKey } from './derive-key.ts';
import { fillFresh } from './fresh-random.ts';
import { SealedError } from './sealed-error.ts';

const KIND_AT = 2;
const RANDOM_AT = 3;
const RANDOM_BYTES = 16;
const BODY_AT = RANDOM_AT + RANDOM_BYTES;
const INDEX_BYTES = 8;
/** What a chunk takes beside its content. */
export const CHUNK_OVERHEAD_BYTES = BODY_AT + TAG_BYTES;
const LENGTH_BYTES = 8;
/** What a hole of any length takes. */
export const HOLE_RECORD_BYTES = BODY_AT + LENGTH_BYTES + TAG_BYTES;
const DATA = 0;
const HOLE = 1;
const NOTHING = Buffer.alloc(0);
/** Every record has a key of its own, so the nonce need not differ. */
const NO_NONCE = Buffer.alloc(NONCE_BYTES);

/** Where a record stands: what it is bound to. */
export interface RecordPlace {
  /** Of the file. */
  readonly identity: Buffer;
  readonly index: number;
  /** Whether the content ends with it. */
  readonly isLast: boolean;
}

/** A file key, and where its run key stands in the header. */
export interface FileKey {
  readonly key: KeyObject;
  readonly slot: number;
}

/** @param into - where the record is made, if there is room to use again; a new buffer of 64 KiB costs 12 µs */
export function sealDataRecord(
  data: Uint8Array,
  place: RecordPlace,
  { fileKey, into }: { fileKey: FileKey; into: Buffer | undefined },
): Buffer {
  const sizeBytes = CHUNK_OVERHEAD_BYTES + data.length;
  const record = into?.subarray(0, sizeBytes) ?? Buffer.allocUnsafeSlow(sizeBytes);
  startRecord(record, DATA, fileKey);
  sealInto(record, BODY_AT, data, recordSeal(record, place, fileKey.key));
  return record;
}

/** A hole has no secret but its place, and that shows: its length is in the clear, and authenticated. */
export function sealHoleRecord(lengthBytes: number, place: RecordPlace, fileKey: FileKey): Buffer {
  const record = Buffer.alloc(HOLE_RECORD_BYTES);
  startRecord(record, HOLE, fileKey);
  record.writeBigUInt64BE(BigInt(lengthBytes), BODY_AT);
  sealInto(record, BODY_AT + LENGTH_BYTES, NOTHING, recordSeal(record, place, fileKey.key));
  return record;
}

/**
 * What a record says of itself before it is opened: the length of a hole, or undefined for data.
 *
 * @throws SealedError
 */
export function claimedHoleBytes(record: Buffer): number | undefined {
  if (record.length < CHUNK_OVERHEAD_BYTES) throw new SealedError('TRUNCATED', 'it ends in a chunk');
  if (record[KIND_AT] === DATA) return undefined;
  if (record[KIND_AT] !== HOLE) throw new SealedError('DAMAGED', 'a chunk is neither data nor a hole');
  if (record.length < HOLE_RECORD_BYTES) throw new SealedError('TRUNCATED', 'it ends in a chunk');
  return Number(record.readBigUInt64BE(BODY_AT));
}

/** Bytes of a record that starts so, if data of `dataBytes` is expected there. */
export function recordSizeBytes(start: Buffer, dataBytes: number): number {
  return start[KIND_AT] === HOLE ? HOLE_RECORD_BYTES : dataBytes + CHUNK_OVERHEAD_BYTES;
}

/** Place of the run key that a record needs. */
export function recordSlot(record: Buffer): number {
  return record.readUInt16BE(0);
}

/**
 * The data of a record, or nothing for a hole, which then is as long as it says.
 *
 * @param record - no longer than it is
 * @throws SealedError DAMAGED
 */
export function openRecord(record: Buffer, place: RecordPlace, fileKey: KeyObject): Buffer {
  const bodyAt = record[KIND_AT] === HOLE ? BODY_AT + LENGTH_BYTES : BODY_AT;
  return openSealedChunk(record.subarray(bodyAt), recordSeal(record, place, fileKey));
}

function startRecord(record: Buffer, kind: number, fileKey: FileKey): void {
  record.writeUInt16BE(fileKey.slot);
  record[KIND_AT] = kind;
  fillFresh(record, RANDOM_AT, RANDOM_BYTES);
}

/** Key from file, run, number and 16 fresh random bytes; file, number, kind, end and a hole's length are authenticated. */
function recordSeal(record: Buffer, place: RecordPlace, fileKey: KeyObject): ChunkSeal {
  const index = Buffer.alloc(INDEX_BYTES);
  index.writeBigUInt64BE(BigInt(place.index));
  const random = record.subarray(RANDOM_AT, BODY_AT);
  const kind = record[KIND_AT] ?? DATA;
  const length = kind === HOLE ? record.subarray(BODY_AT, BODY_AT + LENGTH_BYTES) : NOTHING;
  return {
    key: deriveKey(fileKey, CHUNK_LABEL, Buffer.concat([index, random])),
    nonce: NO_NONCE,
    aad: Buffer.concat([place.identity, index, Buffer.of(kind, place.isLast ? 1 : 0), length]),
  };
}
