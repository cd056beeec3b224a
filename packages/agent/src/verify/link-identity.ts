import type { Entry } from '@bakker/impl-format';
import { OverflowMap } from '../overflow-map.ts';
import type { OpenOverflow } from '../ports/overflow.ts';
import type { StoredItem } from '../ports/storage-account.ts';

interface Group {
  readonly firstPath: Buffer;
  /** Of one of its names; undefined where the storage does not tell it. */
  inode: bigint | undefined;
  /** Another name has another one. */
  isSeveral: boolean;
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

/**
 * Compares hard-link groups with what the storage tells: inodes where it does, else counts of links. Those that have names
 * outside the run go to the disk: they are not complete before its end.
 */
export class LinkIdentity {
  readonly #groups: OverflowMap<Group>;

  constructor(open: OpenOverflow) {
    this.#groups = new OverflowMap({ open, encode: encodeGroup, decode: decodeGroup });
  }

  /** Undefined while memory has room for more; else resolves when it has. */
  room(): Promise<void> | undefined {
    return this.#groups.room();
  }

  /** Why the group that this entry completes is not one file on the storage. */
  add(entry: Entry, item: StoredItem): string | undefined {
    if (entry.linkCount < 2 || entry.sizeBytes === 0 || entry.sha256 === undefined) return undefined;
    // Names that were read while the file changed are different files to the storage, rightly.
    const key = `${entry.filesystem}:${entry.inode}:${entry.sha256.toString('base64')}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = {
        firstPath: entry.path,
        inode: item.inode,
        isSeveral: false,
        names: 0,
        namesLeft: entry.linkCount,
        leastLinks: Number.POSITIVE_INFINITY,
        mostLinks: 0,
      };
      this.#groups.set(key, group);
    }
    group.names++;
    group.namesLeft--;
    group.inode ??= item.inode;
    if (item.inode !== undefined && item.inode !== group.inode) group.isSeveral = true;
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
      if (reason !== undefined) yield { path: group.firstPath, reason };
    }
  }
}

function problemOf({ isSeveral, names, leastLinks, mostLinks }: Group): string | undefined {
  if (names >= LARGE_GROUP || mostLinks >= LARGE_GROUP) return undefined;
  if (isSeveral) return `its ${names} hard links are not one file on the storage`;
  if (leastLinks < names)
    return `it has ${names} names in the run, but one has only ${leastLinks} hard links on the storage`;
  return undefined;
}

function encodeGroup({ firstPath, inode, isSeveral, ...counts }: Group): Buffer {
  const { names, namesLeft, leastLinks, mostLinks } = counts;
  const facts = [inode, isSeveral ? 1 : 0, names, namesLeft, leastLinks, mostLinks].join(' ');
  return Buffer.concat([Buffer.from(`${facts}\n`), firstPath]);
}

function decodeGroup(bytes: Buffer): Group {
  const end = bytes.indexOf('\n');
  const [inode = '', isSeveral, ...counts] = bytes.toString('latin1', 0, end).split(' ');
  const [names = 0, namesLeft = 0, leastLinks = 0, mostLinks = 0] = counts.map(Number);
  return {
    firstPath: bytes.subarray(end + 1),
    inode: inode === '' ? undefined : BigInt(inode),
    isSeveral: isSeveral === '1',
    names,
    namesLeft,
    leastLinks,
    mostLinks,
  };
}
