/**
 * How many names of each inode were seen: a hash table in typed arrays, 12 bytes a place, at most two thirds full. For a
 * million inodes that are waiting for further names it takes 25 MB (38 for a moment, while it grows).
 */
export class InodeCounts {
  #keys = new Float64Array(INITIAL_PLACES);
  #counts = new Uint32Array(INITIAL_PLACES);
  #size = 0;

  /** Inodes that are in the table. */
  get size(): number {
    return this.#size;
  }

  /** Counts one name more. @param inode - from 1 @returns names seen so far */
  add(inode: number): number {
    const place = this.#find(inode);
    const count = (this.#counts[place] ?? 0) + 1;
    this.#counts[place] = count;
    if (count > 1) return count;
    this.#keys[place] = inode;
    this.#size++;
    if (this.#size * 3 > this.#keys.length * 2) this.#grow();
    return count;
  }

  /** Forgets an inode, all names of which were seen. */
  remove(inode: number): void {
    let hole = this.#find(inode);
    if (this.#counts[hole] === 0) return;
    this.#size--;
    const mask = this.#keys.length - 1;
    // What was pushed on by the removed one moves back, so that no look-up ends early.
    for (let place = (hole + 1) & mask; this.#counts[place] !== 0; place = (place + 1) & mask) {
      const home = this.#home(this.#keys[place] ?? 0);
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      this.#keys[hole] = this.#keys[place] ?? 0;
      this.#counts[hole] = this.#counts[place] ?? 0;
      hole = place;
    }
    this.#counts[hole] = 0;
  }

  /** Where the inode is, or where it goes. */
  #find(inode: number): number {
    const mask = this.#keys.length - 1;
    let place = this.#home(inode);
    while (this.#counts[place] !== 0 && this.#keys[place] !== inode) place = (place + 1) & mask;
    return place;
  }

  /** Neighbouring numbers are spread by multiplication (Knuth). */
  #home(inode: number): number {
    const mixed = Math.imul(inode >>> 0, 0x9e3779b1) ^ Math.imul((inode / 2 ** 32) >>> 0, 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & (this.#keys.length - 1);
  }

  #grow(): void {
    const keys = this.#keys;
    const counts = this.#counts;
    this.#keys = new Float64Array(keys.length * 2);
    this.#counts = new Uint32Array(counts.length * 2);
    for (const [place, count] of counts.entries()) {
      if (count === 0) continue;
      const inode = keys[place] ?? 0;
      const moved = this.#find(inode);
      this.#keys[moved] = inode;
      this.#counts[moved] = count;
    }
  }
}

/** A power of two. */
const INITIAL_PLACES = 1_024;
