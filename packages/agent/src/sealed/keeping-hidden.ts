import { isBelow } from '@bakker/impl-format';
import type { Entry } from '@bakker/impl-format';
import type { KeepTeller } from '../backup/keeping.ts';
import { storedPath } from '../backup/stored-place.ts';
import type { Scratch } from '../ports/state-folder.ts';
import type { Keeper } from '../ports/storage-account.ts';

/**
 * Hidden names have an order of their own, and what is told has to rise in it: what does not stay is collected on disk, and
 * told at the end.
 */
export class KeepingHidden implements KeepTeller {
  readonly #keeper: Keeper;
  readonly #scratch: Scratch;

  constructor(keeper: Keeper, scratch: Scratch) {
    this.#keeper = keeper;
    this.#scratch = scratch;
  }

  keep(): void {
    // what nothing is said of is kept
  }

  pass(before: Entry): void {
    const path = before.stored.kind === 'own' ? storedPath(before) : undefined;
    if (path !== undefined) this.#scratch.addPath(path);
  }

  rest(): void {
    let passed: Buffer | undefined;
    for (const path of this.#scratch.paths()) {
      if (passed !== undefined && isBelow(path, passed)) continue;
      this.#keeper.skip(path);
      passed = path;
    }
    this.#keeper.keepRest();
  }
}
