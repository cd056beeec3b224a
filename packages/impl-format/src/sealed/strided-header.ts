import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { IDENTITY_BYTES, PREFIX_BYTES, readPrefix } from './container.ts';
import { deriveKey, HEADER_LABEL, STRIDED_LABEL } from './derive-key.ts';
import { envelopeSizeBytes, readEnvelope } from './envelope.ts';
import { SealedError } from './sealed-error.ts';

const HEADER_SIZE_AT = IDENTITY_BYTES;
const CONTENT_SIZE_AT = 36;
const KEY_COUNT_AT = 44;
const TABLE_AT = 46;
/** What must be read to know how long the header is. */
export const STRIDED_START_BYTES = TABLE_AT;
const MAC_BYTES = 32;
const HEADER_UNIT_BYTES = 4096;
const MOST_HEADER_BYTES = 2 ** 20;
/** Runs of one recipient that change a file before it is sealed anew as a whole: 16 KiB hold 183, 64 KiB 735. */
const SMALL_HEADER_BYTES = 16 * 1024;
const LARGE_HEADER_BYTES = 64 * 1024;
const LARGE_CONTENT_BYTES = 64 * 1024 * 1024;

/** The header of a strided file. Not secret; whether it is true, only a holder of its last run key can say. */
export interface StridedHeader {
  /** Prefix and salt: the file's own name for all its life. */
  readonly identity: Buffer;
  readonly chunkSizeBytes: number;
  readonly headerSizeBytes: number;
  readonly contentBytes: number;
  /** A chunk names its run key by the place in here. */
  readonly envelopes: readonly Buffer[];
}

export function defaultHeaderSizeBytes(contentBytes: number): number {
  return contentBytes < LARGE_CONTENT_BYTES ? SMALL_HEADER_BYTES : LARGE_HEADER_BYTES;
}

/** Whether one more run's key, sealed to so many recipients, has room. */
export function hasRoomForKey(header: StridedHeader, recipientCount: number): boolean {
  const used = header.envelopes.reduce((sum, envelope) => sum + envelope.length, TABLE_AT);
  const free = header.headerSizeBytes - MAC_BYTES - used;
  return envelopeSizeBytes(recipientCount) <= free;
}

/** The file key of one run, for one strided file. */
export function stridedFileKey(runKey: KeyObject, identity: Buffer): KeyObject {
  return deriveKey(runKey, STRIDED_LABEL, identity.subarray(PREFIX_BYTES, IDENTITY_BYTES));
}

/** @param lastFileKey - made of the run key in the last envelope */
export function encodeStridedHeader(header: StridedHeader, lastFileKey: KeyObject): Buffer {
  const { identity, headerSizeBytes, contentBytes, envelopes } = header;
  const bytes = Buffer.alloc(headerSizeBytes);
  identity.copy(bytes);
  bytes.writeUInt32BE(headerSizeBytes, HEADER_SIZE_AT);
  bytes.writeBigUInt64BE(BigInt(contentBytes), CONTENT_SIZE_AT);
  bytes.writeUInt16BE(envelopes.length, KEY_COUNT_AT);
  let at = TABLE_AT;
  for (const envelope of envelopes) at += envelope.copy(bytes, at);
  if (at > headerSizeBytes - MAC_BYTES) throw new Error('the key table is longer than the header');
  headerMac(bytes, lastFileKey).copy(bytes, headerSizeBytes - MAC_BYTES);
  return bytes;
}

/**
 * Bytes of the header that starts so.
 *
 * @throws SealedError
 */
export function stridedHeaderSizeBytes(start: Buffer): number {
  if (readPrefix(start).kind !== 'strided') throw new SealedError('MALFORMED', 'it is not strided');
  if (start.length < STRIDED_START_BYTES) throw new SealedError('TRUNCATED', 'it ends in the header');
  const sizeBytes = start.readUInt32BE(HEADER_SIZE_AT);
  const isAllowed =
    sizeBytes % HEADER_UNIT_BYTES === 0 && sizeBytes >= HEADER_UNIT_BYTES && sizeBytes <= MOST_HEADER_BYTES;
  if (!isAllowed) throw new SealedError('MALFORMED', `the header says that it has ${sizeBytes} bytes`);
  return sizeBytes;
}

/**
 * Reads a header without a key: what it says may be untrue.
 *
 * @param bytes - from the start of the file; more than the header is allowed
 * @throws SealedError
 */
export function readStridedHeader(bytes: Buffer): StridedHeader {
  const headerSizeBytes = stridedHeaderSizeBytes(bytes);
  if (bytes.length < headerSizeBytes) throw new SealedError('TRUNCATED', 'it ends in the header');
  const contentSize = bytes.readBigUInt64BE(CONTENT_SIZE_AT);
  if (contentSize < 1n || contentSize > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new SealedError('MALFORMED', `the header says that the content has ${contentSize} bytes`);
  }
  const table = bytes.subarray(0, headerSizeBytes - MAC_BYTES);
  const envelopes: Buffer[] = [];
  let at = TABLE_AT;
  for (let keys = bytes.readUInt16BE(KEY_COUNT_AT); keys > 0; keys--) {
    const envelope = readEnvelope(table, at);
    envelopes.push(Buffer.from(envelope));
    at += envelope.length;
  }
  if (envelopes.length === 0) throw new SealedError('MALFORMED', 'the header holds no key');
  return {
    identity: Buffer.from(bytes.subarray(0, IDENTITY_BYTES)),
    chunkSizeBytes: readPrefix(bytes).chunkSizeBytes,
    headerSizeBytes,
    contentBytes: Number(contentSize),
    envelopes,
  };
}

/**
 * What a server keeps of a header to go on with the file by: without the zeros and without the MAC.
 *
 * @param bytes - a header
 */
export function shortStridedHeader(bytes: Buffer): Buffer {
  const { envelopes } = readStridedHeader(bytes);
  const end = envelopes.reduce((at, envelope) => at + envelope.length, TABLE_AT);
  return Buffer.from(bytes.subarray(0, end));
}

/** Reads what `shortStridedHeader` made. @throws SealedError */
export function readShortStridedHeader(short: Buffer): StridedHeader {
  const bytes = Buffer.alloc(stridedHeaderSizeBytes(short));
  short.copy(bytes);
  return readStridedHeader(bytes);
}

/** @throws SealedError DAMAGED */
export function checkStridedHeader(bytes: Buffer, headerSizeBytes: number, lastFileKey: KeyObject): void {
  const mac = bytes.subarray(headerSizeBytes - MAC_BYTES, headerSizeBytes);
  if (timingSafeEqual(mac, headerMac(bytes.subarray(0, headerSizeBytes), lastFileKey))) return;
  throw new SealedError('DAMAGED', 'the header is not what was written');
}

function headerMac(bytes: Buffer, lastFileKey: KeyObject): Buffer {
  const key = deriveKey(lastFileKey, HEADER_LABEL, Buffer.alloc(0));
  return createHmac('sha256', key)
    .update(bytes.subarray(0, bytes.length - MAC_BYTES))
    .digest();
}
