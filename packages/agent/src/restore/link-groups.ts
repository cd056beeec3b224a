import type { Entry } from '@bakker/impl-format';
import type { TargetItem } from '../ports/restore-target.ts';

/** Names of one inode on the server: the first that is restored is what the others are linked to. */
export interface LinkGroup {
  state: 'none' | 'pending' | 'placed';
  /** Undefined in a dry run. */
  leader: { readonly path: Buffer; readonly item: TargetItem } | undefined;
  /** What comes to be when the leader is there, or has failed. */
  waiting: (() => void)[];
  namesLeft: number;
}

/**
 * An inode number alone does not tell: a file that was deleted while the run was made may have left its own to another one,
 * and one that changed meanwhile has several contents.
 */
function groupKey({ filesystem, inode, type, sizeBytes, sha256, target, device }: Entry): string {
  const what = sha256 ?? target;
  const number = device === undefined ? '' : `${device.major}:${device.minor}`;
  return `${filesystem}:${inode}:${type}:${sizeBytes}:${number}:${what?.toString('latin1') ?? ''}`;
}

/** The groups that the walk has begun and not seen all names of. */
export class LinkGroups {
  readonly #groups = new Map<string, LinkGroup>();

  /** Undefined for what has one name. */
  of(entry: Entry): LinkGroup | undefined {
    if (entry.linkCount < 2) return undefined;
    const key = groupKey(entry);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { state: 'none', leader: undefined, waiting: [], namesLeft: entry.linkCount };
      this.#groups.set(key, group);
    }
    group.namesLeft--;
    if (group.namesLeft === 0) this.#groups.delete(key); // those that wait hold it themselves
    return group;
  }
}
