import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import type { BackupReport } from './harness/json-contracts.ts';
import { authoriseShell, forcedCommand } from './harness/shell-account.ts';
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

for (const kind of ['local', 'shell'] as const) {
  t.test(
    `a server whose clock is before 1970 is backed up, and once it is right goes on (${kind})`,
    async (t) => {
      await using world = await makeWorld({ kind });
      writeFileSync(`${world.source}/file`, 'file');
      const times = ['1969-12-31 12:00:00', '1901-12-14 00:00:00', '2024-04-18 12:00:00'];
      for (const time of times) {
        appendFileSync(`${world.source}/file`, 'more');
        t.equal(await backupAt(world, time), readLatest(world.storage));
        await world.expect(['status', '--json'], 0, { through: ['faketime', time] });
      }
      t.equal(completeRuns(world.storage).length, times.length);
      t.same(findBrokenPromises(world.storage), []);
      t.same(
        (await world.list()).map(({ status }) => status),
        ['complete', 'complete', 'complete'],
      );
      t.same(await compareTrees(world.source, await world.restore()), []);
    },
  );
}

t.test('a storage whose clock is before 1970 takes runs, and lists them', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  const { account } = world;
  if (account === undefined) throw new Error('no account');
  const served = ['faketime', "'1969-12-31 12:00:00'", ...forcedCommand(account.folder)].join(' ');
  const publicKey = readFileSync(`${account.identityFile}.pub`, 'utf8').trim();
  await account.authorise([`restrict,command="${served}" ${publicKey}`]);
  writeFileSync(`${world.source}/file`, 'file');
  t.equal((await world.backup()).run, '1970_01_01_01');
  await authoriseShell(account);
  t.match((await world.backup()).run, /^2\d\d\d_/, 'named by the right clock');
  t.same(findBrokenPromises(world.storage), []);
  t.same(
    (await world.list()).map(({ status }) => status),
    ['complete', 'complete'],
  );
});

t.test('a clock that is set while a run goes on does not change how long it took', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  const through = ['faketime', '--exclude-monotonic', '-f', '@2024-04-18 12:00:00 x10000000'];
  const { stdout } = await world.expect(['backup', '--json'], 0, { through });
  const { seconds } = JSON.parse(stdout) as BackupReport;
  t.ok(seconds >= 0 && seconds < 10_000, `${seconds} s, while the clock went weeks ahead`);
});
