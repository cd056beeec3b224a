import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { findBrokenPromises } from './harness/storage-check.ts';
import { makeWorld } from './harness/world.ts';

for (const kind of ['plain', 'openssh', 'shell'] as const) {
  t.test(`a line that is cut twice is taken up again by the same run (${kind})`, async (t) => {
    await using world = await makeWorld({ kind, proxied: true });
    const { proxy } = world;
    if (proxy === undefined) throw new Error('no proxy');
    const totalBytes = writeSampleTree(world.source, { files: 3000, maxBytes: 60_000 });
    const running = world.bakker.start(['backup', '--json']);
    for (const share of [0.3, 0.6]) {
      while (proxy.sentBytes() < totalBytes * share && running.process.exitCode === null) await delay(1);
      proxy.cut();
    }
    const result = await running.finished;
    t.equal(result.status, 0, result.stderr);
    t.ok(proxy.connections() >= 3, `${proxy.connections()} connections`);
    t.ok(proxy.sentBytes() < totalBytes * 1.6, `${proxy.sentBytes()} sent for ${totalBytes}`);
    t.same(findBrokenPromises(world.storage), []);
    t.same(await compareTrees(world.source, await world.restore()), []);
  });
}

t.test('a restore that was cut says so with exit 10, and completes when it is run again', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  const totalBytes = writeSampleTree(world.source, { files: 2000, maxBytes: 60_000 });
  await world.backup();
  proxy.reset();
  const target = `${world.bakker.folder}/out`;
  const args = ['restore', '--from', 'latest', '--to', target];
  const running = world.bakker.start(args);
  while (proxy.receivedBytes() < totalBytes / 2) await delay(1);
  proxy.cut();
  const result = await running.finished;
  t.equal(result.status, 10, result.stderr);
  t.match(result.stderr, /again/);
  await world.expect(args);
  t.same(await compareTrees(world.source, `${target}${world.source}`), []);
});
