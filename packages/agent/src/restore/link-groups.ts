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

/** The groups that the walk has begun and not seen all names of. */
export class LinkGroups {
  readonly #groups = new Map<string, LinkGroup>();

  /** Undefined for what has one name. */
  of(entry: Entry): LinkGroup | undefined {
    if (entry.linkCount < 2) return undefined;
    const key = `${entry.filesystem}:${entry.inode}`;
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
