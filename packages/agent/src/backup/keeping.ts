import { isBelow } from '@bakker/impl-format';
import type { Entry } from '@bakker/impl-format';
import type { Keeper } from '../ports/storage-account.ts';

/** So many entries are kept before the storage is told: it works while the scan goes on. Few first, so that it begins early. */
const FIRST_STRETCH = 1024;
const LONGEST_STRETCH = 8192;

/**
 * Says what of the parent is in this run at the same place. What nothing is said of is kept. To be called for every path of
 * the parent's, in order.
 */
export interface KeepTeller {
  /** The parent's object at this path stays as it is; and so do those before it, if it is the last of several. */
  keep(path: Buffer, count?: number): void;
  /** The parent's object at its own path is gone, or is something else now. */
  pass(before: Entry): void;
  rest(): void;
}

/** Tells the storage at once, where its order of paths is the manifest's; before what is new at a path is sent. */
export class Keeping implements KeepTeller {
  readonly #keeper: Keeper;
  #passed: Buffer | undefined;
  #untold = 0;
  #stretch = FIRST_STRETCH;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  keep(path: Buffer, count = 1): void {
    this.#untold += count;
    if (this.#untold < this.#stretch) return;
    this.#untold = 0;
    this.#stretch = Math.min(this.#stretch * 2, LONGEST_STRETCH);
    this.#keeper.keepUntil(path);
  }

  pass(before: Entry): void {
    if (before.stored.kind !== 'own' || (this.#passed && isBelow(before.path, this.#passed))) return;
    this.#passed = before.path;
    this.#untold = 0;
    this.#keeper.skip(before.path);
  }

  rest(): void {
    this.#keeper.keepRest();
  }
}
