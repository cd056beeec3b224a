/*
 * `.bakker/scrub/checked`: 16 bytes for each inode, little-endian, ascending by inode: u64 inode, u32 seconds since 1970
 * of its last check (0 for none), u32 1 if that was given up, else 0. A record is written in place: it never crosses a sector.
 */

export const CHECK_RECORD_BYTES = 16;
const TIME_AT = 8;
const GIVEN_UP_AT = 12;

export interface MergedChecks {
  readonly text: Buffer;
  readonly checkedAtS: Uint32Array;
  /** Places. */
  readonly givenUp: Set<number>;
}

/** Pure: the records of some inodes, with the times that an older file has for them. Streams through both, in order. */
export function mergeChecked(inodes: Float64Array, older: Buffer): MergedChecks {
  const text = Buffer.alloc(inodes.length * CHECK_RECORD_BYTES);
  const checkedAtS = new Uint32Array(inodes.length);
  const givenUp = new Set<number>();
  const olderCount = Math.floor(older.length / CHECK_RECORD_BYTES);
  let next = 0;
  for (const [place, inode] of inodes.entries()) {
    while (next < olderCount && inodeAt(older, next) < inode) next++;
    const isKnown = next < olderCount && inodeAt(older, next) === inode;
    const timeS = isKnown ? older.readUInt32LE(next * CHECK_RECORD_BYTES + TIME_AT) : 0;
    checkedAtS[place] = timeS;
    writeInode(text, place, inode);
    text.writeUInt32LE(timeS, place * CHECK_RECORD_BYTES + TIME_AT);
    if (!isKnown || older.readUInt32LE(next * CHECK_RECORD_BYTES + GIVEN_UP_AT) !== 1) continue;
    givenUp.add(place);
    text.writeUInt32LE(1, place * CHECK_RECORD_BYTES + GIVEN_UP_AT);
  }
  return { text, checkedAtS, givenUp };
}

/** What of a record changes with a check, and where in the file it lies. */
export function encodeCheck(
  place: number,
  { timeS, isGivenUp }: { timeS: number; isGivenUp: boolean },
): { bytes: Buffer; offsetBytes: number } {
  const bytes = Buffer.alloc(CHECK_RECORD_BYTES - TIME_AT);
  bytes.writeUInt32LE(timeS);
  bytes.writeUInt32LE(isGivenUp ? 1 : 0, GIVEN_UP_AT - TIME_AT);
  return { bytes, offsetBytes: place * CHECK_RECORD_BYTES + TIME_AT };
}

function inodeAt(records: Buffer, place: number): number {
  const at = place * CHECK_RECORD_BYTES;
  return records.readUInt32LE(at) + records.readUInt32LE(at + 4) * 2 ** 32;
}

function writeInode(records: Buffer, place: number, inode: number): void {
  const at = place * CHECK_RECORD_BYTES;
  records.writeUInt32LE(inode % 2 ** 32, at);
  records.writeUInt32LE(Math.floor(inode / 2 ** 32), at + 4);
}
