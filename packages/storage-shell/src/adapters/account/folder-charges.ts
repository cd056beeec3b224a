import type { InodeUse } from '../tree/inode-use.ts';

/** Folders that grew are few; beyond so many the oldest are forgotten, and charged anew should they grow again. */
const MOST_REMEMBERED = 65_536;

/** What an inode of a run takes. */
export type Grown = Pick<InodeUse, 'inode' | 'bytes'>;

/**
 * What the folders of a run grew to, by the names in them: removing a folder gives back all its blocks, so all of them are
 * charged. Charges too much rather than too little.
 */
export class FolderCharges {
  readonly #emptyBytes: number;
  readonly #charge: (bytes: number) => void;
  readonly #charged = new Map<number, number>();

  /** @param emptyBytes - what a folder was charged when it was made */
  constructor(emptyBytes: number, charge: (bytes: number) => void) {
    this.#emptyBytes = emptyBytes;
    this.#charge = charge;
  }

  /** A folder was looked at after names were added. */
  measured({ inode, bytes }: Grown): void {
    if (bytes <= this.#emptyBytes) return;
    const charged = this.#charged.get(inode) ?? this.#emptyBytes;
    if (bytes <= charged) return;
    if (this.#charged.size >= MOST_REMEMBERED) {
      for (const oldest of this.#charged.keys()) {
        this.#charged.delete(oldest);
        break;
      }
    }
    this.#charged.set(inode, bytes);
    this.#charge(bytes - charged);
  }
}
