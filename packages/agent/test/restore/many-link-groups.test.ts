import t from 'tap';
import { TemporaryOverflow } from '../../src/adapters/temporary/temporary-overflow.ts';
import type { OverflowTable } from '../../src/ports/overflow.ts';
import type { TargetItem } from '../../src/ports/restore-target.ts';
import { KeptInodes } from '../../src/restore/kept-inodes.ts';
import { LinkGroups } from '../../src/restore/link-groups.ts';
import { LinkIdentity } from '../../src/verify/link-identity.ts';
import { entryOf } from './entries.ts';

const MANY = 50_000;
/** What may be in memory at a time. */
const FEW = 20_000;

/** A table that counts what lies in it. */
function counted(): { open: () => Promise<OverflowTable>; count: () => number } {
  let count = 0;
  const open = async (): Promise<OverflowTable> => {
    const table = new TemporaryOverflow();
    return {
      put: (key, value) => {
        count++;
        table.put(key, value);
      },
      take: (key) => {
        const value = table.take(key);
        if (value !== undefined) count--;
        return value;
      },
      values: () => table.values(),
    };
  };
  return { open, count: () => count };
}

const linked = (index: number) =>
  entryOf(`f/${index}`, {
    inode: BigInt(index),
    linkCount: 3,
    sizeBytes: 1,
    sha256: Buffer.alloc(32, index % 200),
  });

t.test('the first of a group is known when its next name comes, however many begin before', async (t) => {
  const table = counted();
  const groups = new LinkGroups(table.open);
  const held = groups.of(linked(0));
  if (held === undefined) throw new Error('it has several names');
  held.state = 'pending';
  for (let index = 1; index < MANY; index++) {
    const group = groups.of(linked(index));
    if (group?.state !== 'none') throw new Error(`group ${index} is not new`);
    const item = { filesystem: 5n, inode: BigInt(index) };
    if (index % 3 === 0)
      Object.assign(group, { state: 'placed', leader: { path: Buffer.from([0xff, index % 256]), item } });
    if (index % 3 === 1) group.state = 'placed'; // a dry run has no leader
    await groups.room();
  }
  t.ok(table.count() > MANY - FEW, 'memory does not hold them all');
  t.equal(groups.of(linked(0)), held, 'what is in flight stays what it is');
  for (const left of [1, 0])
    for (let index = 1; index < MANY; index++) {
      const { state, leader, namesLeft } = groups.of(linked(index)) ?? {};
      const asLeft =
        index % 3 === 0
          ? leader?.item.inode === BigInt(index) && leader.path[1] === index % 256
          : leader === undefined;
      if (!asLeft || namesLeft !== left || state !== (index % 3 === 2 ? 'none' : 'placed'))
        t.fail(`group ${index}`);
      await groups.room();
    }
  t.equal(table.count(), 0, 'complete groups are forgotten');
});

t.test('a file that stayed is kept once, however many stay', async (t) => {
  const table = counted();
  const kept = new KeptInodes(table.open);
  const item = (index: number) => ({ filesystem: 1n, inode: BigInt(index), linkCount: 3 }) as TargetItem;
  for (const [time, isFirst] of [true, false, false, true].entries())
    for (let index = 0; index < MANY; index++) {
      if (kept.take(item(index)) !== isFirst) t.fail(`name ${time} of ${index}`);
      await kept.room();
      if (time === 0 && index === MANY - 1) t.ok(table.count() > MANY - FEW, 'memory does not hold them all');
    }
});

t.test('links that are not one file on the storage are found, however far apart they lie', async (t) => {
  const table = counted();
  const links = new LinkIdentity(table.open);
  const problems: (string | undefined)[] = [];
  for (const time of [0, 1, 2])
    for (let index = 0; index < MANY; index++) {
      // the last name of one lies outside of the run, and of another one the middle name is a file of its own
      if (index === 8 && time === 2) continue;
      const inode = BigInt(time === 1 && (index === 7 || index === 8) ? MANY : index);
      const item = { name: Buffer.from('f'), type: 'file', sizeBytes: 1, inode, linkCount: 3 } as const;
      const problem = links.add(linked(index), item);
      if (problem !== undefined) problems.push(`${index} ${problem}`);
      await links.room();
      if (time === 0 && index === MANY - 1) t.ok(table.count() > MANY - FEW, 'memory does not hold them all');
    }
  t.same(problems, ['7 its 3 hard links are not one file on the storage']);
  t.same(
    Array.from(links.rest(), ({ path, reason }) => `${path.toString()} ${reason}`),
    ['f/8 its 2 hard links are not one file on the storage'],
  );
});
