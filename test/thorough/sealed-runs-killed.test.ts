import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { killWhenSent } from '../harness/kill-when-sent.ts';
import { pseudoRandom, pseudoRandomBytes, writeSampleTree } from '../harness/sample-tree.ts';
import { makeSealedWorld } from '../harness/sealed-world.ts';
import { findBrokenPromises, fingerprintRuns } from '../harness/storage-check.ts';

const ROUNDS = process.env['BAKKER_TEST_ALL'] === '1' ? 40 : 1;
const SEED = Number(process.env['BAKKER_TEST_SEED'] ?? 1);
const MIB = 1024 * 1024;

for (const [kind, hideNames] of [
  ['plain', true],
  ['local', false],
  ['shell', true],
] as const) {
  t.test(
    `sealed runs killed at random points leave every promise kept, on ${kind} storage (seed ${SEED})`,
    async (t) => {
      const random = pseudoRandom(SEED);
      await using world = await makeSealedWorld({ kind, hideNames });
      writeSampleTree(world.source, { files: 400, maxBytes: 100_000 });
      await world.backup();
      const linesOf = (file: string) => world.unsealManifest(file.slice(-19, -5));
      let before = await fingerprintRuns(world.storage);
      let takesMs = 1000;
      for (let round = 1; round <= ROUNDS; round += 1) {
        writeSampleTree(`${world.source}/round ${round}`, {
          files: 200,
          maxBytes: 200_000,
          seed: `round ${round}`,
        });
        appendFileSync(`${world.source}/round ${round}/large`, pseudoRandomBytes(`large ${round}`, 12 * MIB));
        appendFileSync(`${world.source}/folder ${round}/file ${round * 50}`, 'changed');
        for (let kill = 1; kill <= 3; kill += 1) {
          const running = world.bakker.start(['backup', '--json']);
          await delay(random() * takesMs);
          running.process.kill('SIGKILL');
          await running.finished;
          t.same(findBrokenPromises(world.storage, linesOf), [], `after kill ${kill} in round ${round}`);
          const now = await fingerprintRuns(world.storage);
          for (const [run, print] of before) t.equal(now.get(run), print, `${run} did not change`);
          before = now;
        }
        const startedMs = performance.now();
        const report = await world.backup();
        takesMs = performance.now() - startedMs;
        t.same(report.warnings, [], 'whatever the kill came between, what was kept here fits');
        t.same(
          await compareTrees(world.source, await world.restoreSealed()),
          [],
          `restored in round ${round}`,
        );
      }
      const { runs } = await world.verify(['--data', ...world.key]);
      for (const { run, damaged } of runs) t.same(damaged, [], run);
    },
  );
}

t.test('what arrived sealed before a kill is not sent again', async (t) => {
  await using world = await makeSealedWorld({ proxied: true, bytesPerSecond: 15_000_000, hideNames: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  let totalBytes = writeSampleTree(world.source, { files: 1500, maxBytes: 60_000 });
  for (let index = 0; index < 3; index += 1) {
    appendFileSync(`${world.source}/large ${index}`, pseudoRandomBytes(`large ${index}`, 9 * MIB));
    totalBytes += 9 * MIB;
  }
  const sentBytes = await killWhenSent(world, totalBytes);
  const report = await world.backup();
  t.equal(report.status, 'complete');
  // one large file and a quarter of a second of small ones may have to be sent once more
  const again = totalBytes - sentBytes + 3 * 9 * MIB * 0.5 + totalBytes * 0.2;
  t.ok(
    proxy.sentBytes() < again,
    `${totalBytes} in all, ${sentBytes} sent before the kill, ${proxy.sentBytes()} after it`,
  );
  t.same(await compareTrees(world.source, await world.restoreSealed()), []);
  t.same(await compareTrees(world.source, world.unsealRun(report.run ?? ''), { attributes: false }), []);
});
