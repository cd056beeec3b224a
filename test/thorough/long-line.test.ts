import { appendFileSync, renameSync, statSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { writeSampleTree } from '../harness/sample-tree.ts';
import { findBrokenPromises } from '../harness/storage-check.ts';
import { makeWorld } from '../harness/world.ts';

const DELAY_MS = 10;

// The system's ssh makes a connection for each channel: one to begin with, three for content, four for names.
for (const [kind, wanted, mostConnections] of [
  ['plain', 2, 2],
  ['plain', 2, 1],
  ['openssh', 8, 8],
  ['openssh', 5, 1],
] as const) {
  const takes = mostConnections === 1 ? 'one connection' : 'all connections';
  t.test(`a storage far away that takes ${takes} (${kind})`, async (t) => {
    await using world = await makeWorld({ kind, proxied: true, delayMs: DELAY_MS, mostConnections });
    const { proxy, source, storage } = world;
    if (proxy === undefined) throw new Error('no proxy');
    writeSampleTree(source, { files: 150, maxBytes: 100_000 });

    const first = await world.backup();
    t.equal(first.files.new, first.files.total);
    t.equal(proxy.connections(), mostConnections);
    t.equal(proxy.refused(), wanted - mostConnections);

    appendFileSync(`${source}/changed`, 'grown');
    await world.backup();
    renameSync(`${source}/changed`, `${source}/renamed`);
    const third = await world.backup();
    t.equal(third.files.moved, 1);
    t.equal(third.bytes.sent, 0);
    t.equal(
      statSync(`${storage}/${third.run}${source}/renamed`).ino,
      statSync(`${storage}/${third.parent}${source}/changed`).ino,
    );
    t.same(findBrokenPromises(storage), []);
    t.same(await compareTrees(source, await world.restore()), []);
  });
}

t.test('a line far away that is cut while much is under way: the run continues', async (t) => {
  await using world = await makeWorld({ proxied: true, delayMs: DELAY_MS });
  const { proxy, source } = world;
  if (proxy === undefined) throw new Error('no proxy');
  const totalBytes = writeSampleTree(source, { files: 150, maxBytes: 100_000 });
  proxy.cutAfterBytes(totalBytes / 2);
  await world.backup();
  t.ok(proxy.connections() > 2, 'connected anew');
  t.same(findBrokenPromises(world.storage), []);
  t.same(await compareTrees(source, await world.restore()), []);
});

t.test('a second connection that is never answered holds nothing up', async (t) => {
  await using world = await makeWorld({
    proxied: true,
    delayMs: DELAY_MS,
    mostConnections: 1,
    isSilentBeyond: true,
  });
  writeSampleTree(world.source, { files: 30, maxBytes: 1000 });
  await world.backup();
  t.equal((await world.list()).length, 1);
  t.equal(world.proxy?.refused(), 2);
  t.same(await compareTrees(world.source, await world.restore()), []);
});
