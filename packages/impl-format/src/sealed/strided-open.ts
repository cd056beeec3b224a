import type { KeyObject } from 'node:crypto';
import type { Keyring } from './keyring.ts';
import { SealedError } from './sealed-error.ts';
import { claimedHoleBytes, openRecord, recordSizeBytes, recordSlot } from './strided-chunk.ts';
import { checkStridedHeader, readStridedHeader, stridedFileKey } from './strided-header.ts';
import type { StridedHeader } from './strided-header.ts';
import { chunkCount, chunkOffset } from './strided-layout.ts';

const NO_START = Buffer.alloc(0);

/** What a record holds: data of its chunk, or a hole that starts there and may go on for many. */
export type OpenedChunk =
  { readonly kind: 'data'; readonly data: Buffer } | { readonly kind: 'hole'; readonly lengthBytes: number };

/** A strided file whose header proved true. Opens its chunks in any order. */
export class StridedOpener {
  readonly chunkSizeBytes: number;
  readonly contentBytes: number;
  readonly chunkCount: number;
  readonly #header: StridedHeader;
  readonly #keyring: Keyring;
  readonly #fileKeys = new Map<number, KeyObject>();

  /**
   * @param headerBytes - from the start of the file; more than the header is allowed
   * @throws SealedError
   */
  constructor(headerBytes: Buffer, keyring: Keyring) {
    const header = readStridedHeader(headerBytes);
    this.#header = header;
    this.#keyring = keyring;
    this.chunkSizeBytes = header.chunkSizeBytes;
    this.contentBytes = header.contentBytes;
    this.chunkCount = chunkCount(header.contentBytes, header.chunkSizeBytes);
    checkStridedHeader(headerBytes, header.headerSizeBytes, this.#fileKey(header.envelopes.length - 1));
  }

  /** Where the record of a chunk starts. */
  offset(index: number): number {
    return chunkOffset(this.#header, index);
  }

  /** Bytes of a chunk's record, which starts with `start` (a few bytes); without it: if it holds data. */
  recordSizeBytes(index: number, start: Buffer = NO_START): number {
    return recordSizeBytes(start, Math.min(this.chunkSizeBytes, this.#restBytes(index)));
  }

  /**
   * @param record - what lies at the chunk's offset, as long as a record with data; a hole may be shorter
   * @throws SealedError DAMAGED, TRUNCATED; KEY_MISSING if it is of a run that was sealed for other keys
   */
  openChunk(index: number, record: Buffer): OpenedChunk {
    const restBytes = this.#restBytes(index);
    if (index < 0 || restBytes < 1) throw new Error(`there is no chunk ${index}`);
    const holeBytes = claimedHoleBytes(record);
    const sizeBytes = this.recordSizeBytes(index, record);
    if (record.length < sizeBytes) throw new SealedError('TRUNCATED', 'it ends in a chunk');
    const coveredBytes = holeBytes ?? Math.min(this.chunkSizeBytes, restBytes);
    const isLast = coveredBytes === restBytes;
    const fitsIn = coveredBytes < restBytes && coveredBytes >= 1 && coveredBytes % this.chunkSizeBytes === 0;
    if (!isLast && !fitsIn) throw new SealedError('DAMAGED', `the hole at chunk ${index} does not fit`);
    const place = { identity: this.#header.identity, index, isLast };
    const data = openRecord(record.subarray(0, sizeBytes), place, this.#fileKey(recordSlot(record)));
    return holeBytes === undefined ? { kind: 'data', data } : { kind: 'hole', lengthBytes: holeBytes };
  }

  #restBytes(index: number): number {
    return this.contentBytes - index * this.chunkSizeBytes;
  }

  #fileKey(slot: number): KeyObject {
    const known = this.#fileKeys.get(slot);
    if (known !== undefined) return known;
    const envelope = this.#header.envelopes[slot];
    if (envelope === undefined) {
      throw new SealedError('DAMAGED', `a chunk names run key ${slot}, which the header does not hold`);
    }
    const key = stridedFileKey(this.#keyring.runKey(envelope), this.#header.identity);
    this.#fileKeys.set(slot, key);
    return key;
  }
}
