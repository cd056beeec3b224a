import { InodeCounts } from './inode-counts.ts';

/** An inode, met under one of its names. */
export interface MetInode {
  readonly inode: number;
  readonly links: number;
  readonly bytes: number;
}

export interface FreedFigures {
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Adds up what goes when all names that are met go: an inode goes with its last name. Memory: 12 to 36 bytes for each
 * inode that has a name which was not met (yet).
 */
export class SharedUse {
  readonly #waiting = new InodeCounts();
  #bytes = 0;
  #inodes = 0;

  get freed(): FreedFigures {
    return { bytes: this.#bytes, inodes: this.#inodes };
  }

  /** Folders are met once, whatever their count of links says: give them as 1. */
  meet({ inode, links, bytes }: MetInode): void {
    if (links > 1) {
      if (this.#waiting.add(inode) < links) return;
      this.#waiting.remove(inode);
    }
    this.#bytes += bytes;
    this.#inodes++;
  }
}

/** Adds up what names take that share inodes: an inode counts once, when it is first met. */
export class DistinctUse {
  readonly #seen = new InodeCounts();
  #bytes = 0;
  #inodes = 0;

  get used(): FreedFigures {
    return { bytes: this.#bytes, inodes: this.#inodes };
  }

  meet({ inode, links, bytes }: MetInode): void {
    if (links > 1) {
      const names = this.#seen.add(inode);
      if (names === links) this.#seen.remove(inode);
      if (names > 1) return;
    }
    this.#bytes += bytes;
    this.#inodes++;
  }
}
