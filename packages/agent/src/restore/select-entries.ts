import { isAtOrBelow } from '@bakker/impl-format';
import type { Entry } from '@bakker/impl-format';
import type { PathPattern } from './path-pattern.ts';

/** An entry to restore. `parent`: only because something selected lies below it. */
export interface SelectedEntry {
  readonly entry: Entry;
  readonly role: 'selected' | 'parent';
}

/** What a selection found, complete when its entries have ended. */
export interface Selection {
  entries(): AsyncGenerator<readonly SelectedEntry[]>;
  /** Patterns that nothing matched. */
  unmatched(): readonly PathPattern[];
}

/**
 * Picks what matches a pattern, everything below folders that match, and the folders above. Without patterns, all.
 * Keeps the order; holds the folders above the current entry. Pure.
 */
export function selectEntries(
  batches: AsyncIterable<readonly Entry[]>,
  patterns: readonly PathPattern[],
): Selection {
  const missing = new Set(patterns);
  return {
    entries: () => (patterns.length === 0 ? all(batches) : matching(batches, { patterns, missing })),
    unmatched: () => [...missing],
  };
}

async function* all(batches: AsyncIterable<readonly Entry[]>): AsyncGenerator<readonly SelectedEntry[]> {
  for await (const batch of batches) yield batch.map((entry) => ({ entry, role: 'selected' }));
}

async function* matching(
  batches: AsyncIterable<readonly Entry[]>,
  { patterns, missing }: { patterns: readonly PathPattern[]; missing: Set<PathPattern> },
): AsyncGenerator<readonly SelectedEntry[]> {
  /** Folders above the current entry that were not handed out yet. */
  let above: Entry[] = [];
  let selectedFolder: Buffer | undefined;
  for await (const batch of batches) {
    const selected: SelectedEntry[] = [];
    for (const entry of batch) {
      const hits = missing.size === 0 ? [] : [...missing].filter((pattern) => pattern.matches(entry.path));
      for (const pattern of hits) missing.delete(pattern);
      if (selectedFolder !== undefined && isAtOrBelow(entry.path, selectedFolder)) {
        selected.push({ entry, role: 'selected' });
        continue;
      }
      above = above.filter((folder) => isAtOrBelow(entry.path, folder.path));
      if (hits.length > 0 || patterns.some((pattern) => pattern.matches(entry.path))) {
        for (const folder of above) selected.push({ entry: folder, role: 'parent' });
        above = [];
        selected.push({ entry, role: 'selected' });
        if (entry.type === 'directory') selectedFolder = entry.path;
      } else if (entry.type === 'directory') above.push(entry);
    }
    if (selected.length > 0) yield selected;
  }
}
