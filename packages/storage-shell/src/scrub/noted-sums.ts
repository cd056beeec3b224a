/*
 * `.bakker/scrub/noted`: what files hashed to that carry no checksum of their own, 56 bytes each, little-endian: u64
 * inode, u64 size, i64 mtime in nanoseconds (its lower 64 bits from the year 2262 on), 32 bytes SHA-256. Appended; of two records of an inode the later holds. An
 * inode of another size or mtime is another file, to be noted anew.
 */

export interface NotedSum {
  readonly inode: number;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  readonly sha256: Buffer;
}

export const NOTED_RECORD_BYTES = 56;

export function encodeNotedSum({ inode, sizeBytes, mtimeNs, sha256 }: NotedSum): Buffer {
  const record = Buffer.alloc(NOTED_RECORD_BYTES);
  record.writeBigUInt64LE(BigInt(inode), 0);
  record.writeBigUInt64LE(BigInt(sizeBytes), 8);
  record.writeBigInt64LE(BigInt.asIntN(64, mtimeNs), 16);
  sha256.copy(record, SUM_AT, 0, 32);
  return record;
}

/** The sums of a file, looked up by inode. Memory: the file and 4 bytes a record. */
export class NotedSums {
  readonly #records: Buffer;
  readonly #order: Uint32Array;

  /** @param text - of the file; a record that a death cut off at its end is left out */
  constructor(text: Buffer) {
    this.#records = text;
    const count = Math.floor(text.length / NOTED_RECORD_BYTES);
    this.#order = Uint32Array.from({ length: count }, (_, place) => place);
    this.#order.sort((a, b) => this.#inode(a) - this.#inode(b) || a - b);
  }

  /** Undefined if nothing is noted of the inode, or of another file that had it. */
  find({ inode, sizeBytes, mtimeNs }: Omit<NotedSum, 'sha256'>): Buffer | undefined {
    const place = this.#last(inode);
    if (place === undefined) return undefined;
    const at = place * NOTED_RECORD_BYTES;
    const isSame =
      this.#records.readBigUInt64LE(at + 8) === BigInt(sizeBytes) &&
      this.#records.readBigInt64LE(at + 16) === BigInt.asIntN(64, mtimeNs);
    return isSame ? this.#records.subarray(at + SUM_AT, at + SUM_AT + 32) : undefined;
  }

  /** The file without what is gone or was noted again. @param isThere - whether an inode is still in a run */
  compacted(isThere: (inode: number) => boolean): Buffer {
    const kept: Buffer[] = [];
    for (const [index, place] of this.#order.entries()) {
      const inode = this.#inode(place);
      const next = this.#order[index + 1];
      if ((next !== undefined && this.#inode(next) === inode) || !isThere(inode)) continue;
      kept.push(this.#records.subarray(place * NOTED_RECORD_BYTES, (place + 1) * NOTED_RECORD_BYTES));
    }
    return Buffer.concat(kept);
  }

  #inode(place: number): number {
    return Number(this.#records.readBigUInt64LE(place * NOTED_RECORD_BYTES));
  }

  #last(inode: number): number | undefined {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#inode(this.#order[middle] ?? 0) <= inode) low = middle + 1;
      else high = middle;
    }
    const place = this.#order[low - 1];
    return place !== undefined && this.#inode(place) === inode ? place : undefined;
  }
}

const SUM_AT = 24;
