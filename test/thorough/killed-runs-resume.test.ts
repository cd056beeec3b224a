import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { killWhenSent } from '../harness/kill-when-sent.ts';
import { pseudoRandom, pseudoRandomBytes, writeSampleTree } from '../harness/sample-tree.ts';
import { completeRuns, findBrokenPromises, fingerprintRuns } from '../harness/storage-check.ts';
import { makeWorld } from '../harness/world.ts';

const ROUNDS = process.env['BAKKER_TEST_ALL'] === '1' ? 60 : 2;
const SEED = Number(process.env['BAKKER_TEST_SEED'] ?? 1);

for (const kind of ['plain', 'local', 'shell'] as const) {
  t.test(
    `runs killed at random points leave every promise kept, on ${kind} storage (seed ${SEED})`,
    async (t) => {
      const random = pseudoRandom(SEED);
      await using world = await makeWorld({ kind });
      writeSampleTree(world.source, { files: 800, maxBytes: 100_000 });
      await world.backup();
      let before = await fingerprintRuns(world.storage);
      let takesMs = 1000;
      for (let round = 1; round <= ROUNDS; round += 1) {
        writeSampleTree(`${world.source}/round ${round}`, {
          files: 300,
          maxBytes: 200_000,
          seed: `round ${round}`,
        });
        appendFileSync(`${world.source}/folder ${round}/file ${round * 50}`, 'changed');
        for (let kill = 1; kill <= 3; kill += 1) {
          const running = world.bakker.start(['backup', '--json']);
          await delay(random() * takesMs);
          running.process.kill('SIGKILL');
          await running.finished;
          t.same(findBrokenPromises(world.storage), [], `after kill ${kill} in round ${round}`);
          const now = await fingerprintRuns(world.storage);
          for (const [run, print] of before) t.equal(now.get(run), print, `${run} did not change`);
          before = now;
        }
        const startedMs = performance.now();
        await world.backup();
        takesMs = performance.now() - startedMs;
        t.same(findBrokenPromises(world.storage), [], `finished round ${round}`);
        t.same(await compareTrees(world.source, await world.restore()), [], `restored in round ${round}`);
      }
      t.ok(completeRuns(world.storage).length > ROUNDS);
      const { runs } = await world.verify(['--data']);
      for (const { run, damaged } of runs) t.same(damaged, [], run);
    },
  );
}

t.test('what arrived whole before a kill is not sent again', async (t) => {
  // Slow enough that what a kill may lose, the notes of a quarter of a second, is little.
  await using world = await makeWorld({ proxied: true, bytesPerSecond: 15_000_000 });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  const totalBytes =
    writeSampleTree(world.source, { files: 2000, maxBytes: 60_000 }) +
    writeLargeFiles(world.source, 32, 1_000_000);
  const sentBytes = await killWhenSent(world, totalBytes);
  const report = await world.backup();
  t.equal(report.status, 'complete');
  t.ok(
    proxy.sentBytes() < totalBytes - sentBytes + totalBytes * 0.2,
    `${totalBytes} in all, ${sentBytes} sent before the kill, ${proxy.sentBytes()} after it`,
  );
  t.same(await compareTrees(world.source, await world.restore()), []);
});

function writeLargeFiles(folder: string, count: number, sizeBytes: number): number {
  for (let index = 0; index < count; index += 1) {
    appendFileSync(`${folder}/large ${index}`, pseudoRandomBytes(`large ${index}`, sizeBytes));
  }
  return count * sizeBytes;
}
