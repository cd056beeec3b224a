/**
 * Stored inodes that were read and had the content of a hash: another name of one, in this run or in the next, need not be
 * read again. 24 MiB at most: each inode has one place, and one that lost its place to another is read again.
 */
export class ReadInodes {
  readonly #inodes = new BigUint64Array(PLACES);
  readonly #hashes = Buffer.alloc(PLACES * HASH_BYTES);

  /** Whether this inode was read and had this content. */
  has(inode: bigint, sha256: Buffer): boolean {
    const place = placeOf(inode);
    const start = place * HASH_BYTES;
    return (
      this.#inodes[place] === inode &&
      this.#hashes.compare(sha256, 0, HASH_BYTES, start, start + HASH_BYTES) === 0
    );
  }

  add(inode: bigint, sha256: Buffer): void {
    const place = placeOf(inode);
    this.#inodes[place] = inode;
    sha256.copy(this.#hashes, place * HASH_BYTES, 0, HASH_BYTES);
  }
}

const PLACES = 2 ** 20;
/** Half of a SHA-256: two that meet by chance are as good as never. */
const HASH_BYTES = 16;

function placeOf(inode: bigint): number {
  return Number(inode % BigInt(PLACES));
}
