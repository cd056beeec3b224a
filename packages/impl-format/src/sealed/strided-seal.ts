import { CHUNK_BITS, encodePrefix, SALT_BYTES } from './container.ts';
import { fillFresh } from './fresh-random.ts';
import type { RunKey } from './packed-seal.ts';
import { envelopeRecipients } from './envelope.ts';
import { SealedError } from './sealed-error.ts';
import { CHUNK_OVERHEAD_BYTES, sealDataRecord, sealHoleRecord } from './strided-chunk.ts';
import type { FileKey, RecordPlace } from './strided-chunk.ts';
import { encodeStridedHeader, hasRoomForKey, stridedFileKey } from './strided-header.ts';
import type { StridedHeader } from './strided-header.ts';
import { chunkOffset } from './strided-layout.ts';

/** Which chunk is sealed. */
export interface ChunkRequest {
  readonly index: number;
  /** Whether the content ends with it, or with the hole. */
  readonly isLast: boolean;
  /** Room for the record, 35 bytes more than the data, to be used again and again. */
  readonly into?: Buffer;
}

/**
 * Seals a large file, or changed chunks of one, in any order. A new file that is cut off lacks chunks that its header counts; of
 * one that is changed in place only the manifest's hash tells whether it is whole.
 */
export class StridedSealer {
  readonly chunkSizeBytes: number;
  readonly headerSizeBytes: number;
  readonly #identity: Buffer;
  readonly #envelopes: readonly Buffer[];
  readonly #fileKey: FileKey;

  /** @param before - where the new run's key is added to; without it a new file is made */
  constructor({ key, envelope }: RunKey, before: StridedHeader | { readonly headerSizeBytes: number }) {
    if ('identity' in before) {
      if (!hasRoomForKey(before, envelopeRecipients(envelope).length)) {
        throw new SealedError(
          'TABLE_FULL',
          'its header has no room for another key: seal the whole file anew',
        );
      }
      this.#identity = before.identity;
      this.chunkSizeBytes = before.chunkSizeBytes;
      this.#envelopes = [...before.envelopes, envelope];
    } else {
      this.#identity = newIdentity();
      this.chunkSizeBytes = 2 ** CHUNK_BITS;
      this.#envelopes = [envelope];
    }
    this.headerSizeBytes = before.headerSizeBytes;
    this.#fileKey = { key: stridedFileKey(key, this.#identity), slot: this.#envelopes.length - 1 };
  }

  /** Where a chunk's record is to be written. */
  offset(index: number): number {
    return chunkOffset(this, index);
  }

  /**
   * The record of a chunk: `into` from its start, if that is given.
   *
   * @param data - as long as a chunk; the last one 1 byte or more
   */
  sealChunk({ index, isLast, into }: ChunkRequest, data: Uint8Array): Buffer {
    const isFull = data.length === this.chunkSizeBytes;
    if (!isFull && (!isLast || data.length < 1 || data.length > this.chunkSizeBytes)) {
      throw new Error(`chunk ${index} has ${data.length} bytes`);
    }
    if (into !== undefined && into.length < data.length + CHUNK_OVERHEAD_BYTES) {
      throw new Error(`${into.length} bytes are too few for chunk ${index}`);
    }
    return sealDataRecord(data, this.#place(index, isLast), { fileKey: this.#fileKey, into });
  }

  /**
   * The record of a hole that starts with chunk `index`; nothing is written for the other chunks in it.
   *
   * @param lengthBytes - whole chunks, unless it is the last
   */
  sealHole({ index, isLast }: ChunkRequest, lengthBytes: number): Buffer {
    if (lengthBytes < 1 || (!isLast && lengthBytes % this.chunkSizeBytes !== 0)) {
      throw new Error(`the hole at chunk ${index} has ${lengthBytes} bytes`);
    }
    return sealHoleRecord(lengthBytes, this.#place(index, isLast), this.#fileKey);
  }

  /** The header, when all chunks are written. */
  header(contentBytes: number): Buffer {
    if (contentBytes < 1) throw new Error('an empty file is packed, not strided');
    return encodeStridedHeader(
      {
        identity: this.#identity,
        chunkSizeBytes: this.chunkSizeBytes,
        headerSizeBytes: this.headerSizeBytes,
        contentBytes,
        envelopes: this.#envelopes,
      },
      this.#fileKey.key,
    );
  }

  #place(index: number, isLast: boolean): RecordPlace {
    return { identity: this.#identity, index, isLast };
  }
}

function newIdentity(): Buffer {
  const prefix = encodePrefix({ kind: 'strided', isCompressed: false });
  const identity = Buffer.concat([prefix, Buffer.alloc(SALT_BYTES)]);
  fillFresh(identity, prefix.length, SALT_BYTES);
  return identity;
}
