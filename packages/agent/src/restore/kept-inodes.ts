import { OverflowMap } from '../overflow-map.ts';
import type { OpenOverflow } from '../ports/overflow.ts';
import type { TargetItem } from '../ports/restore-target.ts';

/**
 * Files with several names that stay as they were found. What the run has as files of their own may be one file in the target:
 * the first keeps it. Holds each until all of its names were met, of which some may lie outside of what is restored.
 */
export class KeptInodes {
  readonly #namesLeft: OverflowMap<number>;

  constructor(open: OpenOverflow) {
    this.#namesLeft = new OverflowMap({
      open,
      encode: (left) => Buffer.from(String(left)),
      decode: (bytes) => Number(bytes.toString()),
    });
  }

  /** Undefined while memory has room for more; else resolves when it has. */
  room(): Promise<void> | undefined {
    return this.#namesLeft.room();
  }

  /** Whether the file at a name may stay: no other file of the run has kept it. */
  take(item: TargetItem): boolean {
    if (item.linkCount < 2) return true;
    const key = keyOf(item);
    if (this.#namesLeft.get(key) !== undefined) {
      this.pass(item);
      return false;
    }
    this.#namesLeft.set(key, item.linkCount - 1);
    return true;
  }

  /** Another of its names was met. */
  pass(item: TargetItem): void {
    const key = keyOf(item);
    const left = this.#namesLeft.get(key);
    if (left === undefined) return;
    if (left > 1) this.#namesLeft.set(key, left - 1);
    else this.#namesLeft.delete(key);
  }
}

function keyOf({ filesystem, inode }: TargetItem): string {
  return `${filesystem}:${inode}`;
}
