import type { Entry } from '@bakker/impl-format';
import { OverflowMap } from '../overflow-map.ts';
import type { OpenOverflow } from '../ports/overflow.ts';
import type { TargetItem } from '../ports/restore-target.ts';

/** Names of one inode on the server: the first that is restored is what the others are linked to. */
export interface LinkGroup {
  state: 'none' | 'pending' | 'placed';
  /** Undefined in a dry run. */
  leader: Leader | undefined;
  /** What comes to be when the leader is there, or has failed. */
  waiting: (() => void)[];
  namesLeft: number;
}

interface Leader {
  readonly path: Buffer;
  readonly item: Pick<TargetItem, 'filesystem' | 'inode'>;
}

/**
 * An inode number alone does not tell: a file that was deleted while the run was made may have left its own to another one,
 * and one that changed meanwhile has several contents.
 */
function groupKey({ filesystem, inode, type, sizeBytes, sha256, target, device }: Entry): string {
  const what = sha256 ?? target;
  const number = device === undefined ? '' : `${device.major}:${device.minor}`;
  return `${filesystem}:${inode}:${type}:${sizeBytes}:${number}:${what?.toString('base64') ?? ''}`;
}

/** The groups that the walk has begun and not seen all names of: those that it never will go to the disk. */
export class LinkGroups {
  readonly #groups: OverflowMap<LinkGroup>;

  constructor(open: OpenOverflow) {
    this.#groups = new OverflowMap({ open, encode: encodeGroup, decode: decodeGroup });
  }

  /** Undefined while memory has room for more; else resolves when it has. */
  room(): Promise<void> | undefined {
    return this.#groups.room();
  }

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

/** What is pending is changed by what is in flight, and so has to stay. */
function encodeGroup({ state, leader, namesLeft }: LinkGroup): Buffer | undefined {
  if (state === 'pending') return undefined;
  const facts = [state, namesLeft, leader?.item.filesystem, leader?.item.inode].join(' ');
  return Buffer.concat([Buffer.from(`${facts}\n`), leader?.path ?? Buffer.alloc(0)]);
}

function decodeGroup(bytes: Buffer): LinkGroup {
  const end = bytes.indexOf('\n');
  const [state, namesLeft, filesystem = '', inode = ''] = bytes.toString('latin1', 0, end).split(' ');
  const path = bytes.subarray(end + 1);
  return {
    state: state === 'placed' ? 'placed' : 'none',
    leader:
      inode === '' ? undefined : { path, item: { filesystem: BigInt(filesystem), inode: BigInt(inode) } },
    waiting: [],
    namesLeft: Number(namesLeft),
  };
}
