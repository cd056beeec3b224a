/** In place of a time: checked by this scrub, and not due any more. */
export const DONE = 0xffff_ffff;

/**
 * Which inodes are next: those whose check is the oldest, `count` of them (or all there are). Pure; 5 bytes an inode.
 *
 * @param checkedAtS - when each was checked last, 0 for never, or DONE
 * @returns 1 at the place of each that is due
 */
export function chooseDue(
  checkedAtS: Uint32Array,
  wanted: number,
): { readonly due: Uint8Array; readonly count: number } {
  const due = new Uint8Array(checkedAtS.length);
  const sorted = checkedAtS.slice().sort();
  const count = Math.min(wanted, countBelow(sorted, DONE));
  const latestS = sorted[count - 1];
  if (count <= 0 || latestS === undefined) return { due, count: 0 };
  let ofLatest = count - countBelow(sorted, latestS);
  for (const [place, timeS] of checkedAtS.entries()) {
    if (timeS < latestS || (timeS === latestS && ofLatest-- > 0)) due[place] = 1;
  }
  return { due, count };
}

/** The place of a number in an ascending list; -1 if it is not there. */
export function placeOf(numbers: Float64Array, wanted: number): number {
  let low = 0;
  let high = numbers.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = numbers[middle] ?? Infinity;
    if (found === wanted) return middle;
    if (found < wanted) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

function countBelow(sorted: Uint32Array, limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
