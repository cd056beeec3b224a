import { appendFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import type { BackupReport } from './harness/json-contracts.ts';
import { completeRuns, findBrokenPromises, readLatest } from './harness/storage-check.ts';
import { makeWorld, type World } from './harness/world.ts';

async function backupAt(world: World, time: string): Promise<string | null> {
  const result = await world.expect(['backup', '--json'], 0, { through: ['faketime', time] });
  return result.json<BackupReport>().run;
}

t.test('a run is always later than every run before it, also when the clock goes back', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  const runs: (string | null)[] = [];
  for (const time of [
    '2024-04-18 12:00:00',
    '2024-04-17 12:00:00',
    '2019-01-01 00:00:00',
    '2024-04-19 00:00:01',
  ]) {
    appendFileSync(`${world.source}/file`, 'more');
    runs.push(await backupAt(world, time));
    t.equal(readLatest(world.storage), runs.at(-1) ?? undefined);
  }
  t.same(runs, ['2024_04_18_01', '2024_04_18_02', '2024_04_18_03', '2024_04_19_01']);
  t.same(completeRuns(world.storage), runs);
  t.same(findBrokenPromises(world.storage), []);
  t.same(await compareTrees(world.source, await world.restore()), []);
  const listed = await world.list();
  t.same(
    listed.map(({ run }) => run),
    runs,
  );
});

t.test(
  'a least interval is not an excuse for never backing up again after the clock went back',
  async (t) => {
    await using world = await makeWorld({ kind: 'local', config: { interval: '20h' } });
    writeFileSync(`${world.source}/file`, 'file');
    await backupAt(world, '2034-04-18 12:00:00');
    t.equal(await backupAt(world, '2024-04-18 12:00:00'), '2034_04_18_02');
  },
);
