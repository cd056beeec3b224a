import type { Entry } from '@bakker/impl-format';
import type { StoredItem } from '../ports/storage-account.ts';

interface Group {
  readonly first: Entry;
  readonly inodes: Set<bigint>;
  names: number;
  namesLeft: number;
  leastLinks: number;
  mostLinks: number;
}

/**
 * A file system takes so many links to one inode and no more (ext4 65,000); a run then goes on with a copy, and stays
 * right. So large groups may lie in several inodes.
 */
const LARGE_GROUP = 1000;

/** Compares hard-link groups with what the storage tells: inodes where it does, else counts of links. */
export class LinkIdentity {
  readonly #groups = new Map<string, Group>();

  /** Why the group that this entry completes is not one file on the storage. */
  add(entry: Entry, item: StoredItem): string | undefined {
    if (entry.linkCount < 2 || entry.sizeBytes === 0 || entry.sha256 === undefined) return undefined;
    // Names that were read while the file changed are different files to the storage, rightly.
    const key = `${entry.filesystem}:${entry.inode}:${entry.sha256.toString('latin1')}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = {
        first: entry,
        inodes: new Set(),
        names: 0,
        namesLeft: entry.linkCount,
        leastLinks: Number.POSITIVE_INFINITY,
        mostLinks: 0,
      };
      this.#groups.set(key, group);
    }
    group.names++;
    group.namesLeft--;
    if (item.inode !== undefined && group.inodes.size < 2) group.inodes.add(item.inode);
    if (item.linkCount !== undefined) {
      group.leastLinks = Math.min(group.leastLinks, item.linkCount);
      group.mostLinks = Math.max(group.mostLinks, item.linkCount);
    }
    if (group.namesLeft > 0) return undefined;
    this.#groups.delete(key);
    return problemOf(group);
  }

  /** The groups that have names outside the run. */
  *rest(): Generator<{ readonly path: Buffer; readonly reason: string }> {
    for (const group of this.#groups.values()) {
      const reason = problemOf(group);
      if (reason !== undefined) yield { path: group.first.path, reason };
    }
    this.#groups.clear();
  }
}

function problemOf({ inodes, names, leastLinks, mostLinks }: Group): string | undefined {
  if (names >= LARGE_GROUP || mostLinks >= LARGE_GROUP) return undefined;
  if (inodes.size > 1) return `its ${names} hard links are not one file on the storage`;
  if (leastLinks < names)
    return `it has ${names} names in the run, but one has only ${leastLinks} hard links on the storage`;
  return undefined;
}
