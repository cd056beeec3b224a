import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { writeSampleTree } from '../harness/sample-tree.ts';
import { completeRuns } from '../harness/storage-check.ts';
import { makeWorld } from '../harness/world.ts';

// bakker tries again for two minutes before it gives up.
t.test('a line that stays dead ends the run with exit 10, and it can be resumed', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  const totalBytes = writeSampleTree(world.source, { files: 1000, maxBytes: 60_000 });
  const running = world.bakker.start(['backup', '--json']);
  while (proxy.sentBytes() < totalBytes / 2) await delay(1);
  proxy.refuse(true);
  proxy.cut();
  const result = await running.finished;
  t.equal(result.status, 10, result.stderr);
  t.same(completeRuns(world.storage), []);
  proxy.refuse(false);
  t.equal((await world.backup()).status, 'complete');
  t.same(await compareTrees(world.source, await world.restore()), []);
});
