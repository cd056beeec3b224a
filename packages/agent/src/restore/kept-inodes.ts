import type { TargetItem } from '../ports/restore-target.ts';

/**
 * Files with several names that stay as they were found. What the run has as files of their own may be one file in the target:
 * the first keeps it. Holds each until all of its names were met.
 */
export class KeptInodes {
  readonly #namesLeft = new Map<string, number>();

  /** Whether the file at a name may stay: no other file of the run has kept it. */
  take(item: TargetItem): boolean {
    if (item.linkCount < 2) return true;
    if (this.#namesLeft.has(keyOf(item))) {
      this.pass(item);
      return false;
    }
    this.#namesLeft.set(keyOf(item), item.linkCount - 1);
    return true;
  }

  /** Another of its names was met. */
  pass(item: TargetItem): void {
    const left = this.#namesLeft.get(keyOf(item));
    if (left === undefined) return;
    if (left > 1) this.#namesLeft.set(keyOf(item), left - 1);
    else this.#namesLeft.delete(keyOf(item));
  }
}

function keyOf({ filesystem, inode }: TargetItem): string {
  return `${filesystem}:${inode}`;
}
