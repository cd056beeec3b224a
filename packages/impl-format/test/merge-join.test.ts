import fc from 'fast-check';
import t from 'tap';
import { comparePaths, mergeJoin } from '../src/index.ts';
import { anyPath, inBatches } from './samples.ts';

interface Item {
  readonly path: Buffer;
  readonly value: number;
}

const anyItems = fc
  .uniqueArray(fc.record({ path: anyPath, value: fc.nat() }), {
    maxLength: 30,
    selector: ({ path }) => path.toString('latin1'),
  })
  .map((items) => items.sort((a, b) => comparePaths(a.path, b.path)));

t.test('equals a join through a map, however the batches are cut', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      anyItems,
      anyItems,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      async (left, right, l, r) => {
        // Half of the right side are paths of the left one, so that both meet.
        const both = sortedOnce([
          ...right,
          ...left.filter((_, i) => i % 2 === 0).map((item) => ({ ...item, value: -1 })),
        ]);
        const joined = (await Array.fromAsync(mergeJoin(inBatches(left, l), inBatches(both, r)))).flat();
        t.strictSame(joined.map(plain), modelJoin(left, both));
      },
    ),
    { numRuns: 300 },
  );
});

t.test('empty batches are passed over and batches stay bounded', async (t) => {
  const items = Array.from({ length: 3000 }, (_, i) => ({
    path: Buffer.from(String(i).padStart(5, '0')),
    value: i,
  }));
  async function* withEmpty(): AsyncGenerator<readonly Item[]> {
    yield [];
    yield items;
    yield [];
  }
  const batches = await Array.fromAsync(mergeJoin(withEmpty(), withEmpty()));
  t.strictSame(
    batches.map((batch) => batch.length),
    [1024, 1024, 952],
  );
  t.ok(batches.flat().every(({ left, right }) => left !== undefined && left === right));
  t.strictSame(await Array.fromAsync(mergeJoin(inBatches([]), inBatches([]))), []);
});

t.test('no more is held than a batch of each side has', async (t) => {
  const items = (first: number) =>
    Array.from({ length: 60 }, (_, i) => ({
      path: Buffer.from(String(2 * i + first).padStart(5, '0')),
      value: i,
    }));
  const alone = await Array.fromAsync(mergeJoin(inBatches(items(0), 2), inBatches<Item>([])));
  t.equal(alone.flat().length, 60);
  for (const batch of alone) t.equal(batch.length, 2);
  for (const other of [0, 1]) {
    const joined = await Array.fromAsync(mergeJoin(inBatches(items(0), 3), inBatches(items(other), 5)));
    t.equal(joined.flat().length, other === 0 ? 60 : 120);
    for (const batch of joined) t.ok(batch.length > 0 && batch.length <= 8, `${batch.length} at once`);
  }
});

t.test('both sides are released when the consumer stops, and when one of them fails', async (t) => {
  const released: string[] = [];
  async function* endless(name: string, failAt: number): AsyncGenerator<readonly Item[]> {
    try {
      for (let i = 0; ; i++) {
        if (i === failAt) throw new Error(`${name} failed`);
        yield [{ path: Buffer.from(String(i).padStart(9, '0')), value: i }];
      }
    } finally {
      released.push(name);
    }
  }
  for await (const batch of mergeJoin(endless('left', -1), endless('right', -1))) {
    t.ok(batch.length > 0);
    break;
  }
  t.strictSame(released.splice(0).sort(), ['left', 'right']);
  await t.rejects(Array.fromAsync(mergeJoin(endless('left', -1), endless('right', 5))), {
    message: 'right failed',
  });
  t.strictSame(released.sort(), ['left', 'right']);
});

function plain({ path, left, right }: { path: Buffer; left?: Item | undefined; right?: Item | undefined }) {
  return { path: path.toString('latin1'), left: left?.value, right: right?.value };
}

function modelJoin(left: readonly Item[], right: readonly Item[]) {
  const lefts = new Map(left.map((item) => [item.path.toString('latin1'), item.value]));
  const rights = new Map(right.map((item) => [item.path.toString('latin1'), item.value]));
  return sortedOnce([...left, ...right])
    .map(({ path }) => path.toString('latin1'))
    .map((path) => ({ path, left: lefts.get(path), right: rights.get(path) }));
}

function sortedOnce(items: readonly Item[]): Item[] {
  const byPath = new Map(items.map((item) => [item.path.toString('latin1'), item]));
  return [...byPath.values()].sort((a, b) => comparePaths(a.path, b.path));
}
