/**
 * The name that was most likely meant: fewest typing slips (a letter added, lost, changed, or two swapped) away.
 *
 * @returns undefined if no name is near enough to be a slip
 */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  const wanted = normalise(word);
  let nearest: string | undefined;
  let fewest = Infinity;
  for (const name of names) {
    const slips = countSlips(wanted, normalise(name));
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, name.length) * 0.4));
    if (slips > allowed || slips >= fewest) continue;
    nearest = name;
    fewest = slips;
  }
  return nearest;
}

/** `hostKey`, `host_key` and `Host-Key` are no slips of `host-key`, only other habits. */
function normalise(word: string): string {
  return word
    .slice(0, 64)
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase();
}

/** Damerau-Levenshtein distance in its restricted form: no letter is moved twice. */
function countSlips(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let slips = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) slips = Math.min(slips, at(beforeLast, j - 2) + 1);
      row.push(slips);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
