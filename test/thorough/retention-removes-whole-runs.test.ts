import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import type { RetentionVerdict } from '../harness/json-contracts.ts';
import { pseudoRandom, writeSampleTree } from '../harness/sample-tree.ts';
import { completeRuns, findBrokenPromises, fingerprintRuns } from '../harness/storage-check.ts';
import { makeWorld, type World } from '../harness/world.ts';

const KEEP_TWO = { retention: { days: 0, instances: 2, months: 0, years: 0 } };

async function makeRuns(world: World, count: number): Promise<void> {
  writeSampleTree(world.source, { files: 400 });
  for (let run = 1; run <= count; run += 1) {
    writeSampleTree(`${world.source}/run ${run}`, { files: 20, seed: `run ${run}` });
    await world.backup();
  }
}

for (const kind of ['plain', 'local'] as const) {
  t.test(`retention removes what the policy lets go, whole, on ${kind} storage`, async (t) => {
    await using world = await makeWorld({ kind, config: KEEP_TWO });
    await makeRuns(world, 5);
    const runs = completeRuns(world.storage);
    const before = await fingerprintRuns(world.storage);

    const dry = (await world.expect(['retention', '--dry-run', '--json'])).json<RetentionVerdict[]>();
    t.same(new Set(dry.filter(({ keep }) => keep).map(({ run }) => run)), new Set(runs.slice(-2)));
    for (const { keep, reasons } of dry) t.equal(reasons.length > 0, keep, 'what is kept has a reason');
    t.same(completeRuns(world.storage), runs, 'a dry run removes nothing');
    t.match((await world.expect(['retention', '--dry-run', '--explain'])).stdout, runs[0] ?? '');

    await world.expect(['retention', '--json']);
    t.same(completeRuns(world.storage), runs.slice(-2));
    for (const run of runs.slice(0, -2))
      t.notOk(existsSync(`${world.storage}/${run}.impl`), `${run}.impl is gone`);
    t.same(findBrokenPromises(world.storage), []);
    const after = await fingerprintRuns(world.storage);
    for (const [run, print] of after) t.equal(before.get(run), print, `${run} is as it was`);
    t.same(await compareTrees(world.source, await world.restore()), []);
    t.equal((await world.backup()).parent, runs.at(-1));
  });

  t.test(`retention killed at random points leaves no half run under a good name (${kind})`, async (t) => {
    await using world = await makeWorld({ kind, config: KEEP_TWO });
    await makeRuns(world, 8);
    const before = await fingerprintRuns(world.storage);
    const random = pseudoRandom(7);
    for (let kill = 1; kill <= 8; kill += 1) {
      const running = world.bakker.start(['retention', '--json']);
      await delay(100 + random() * 500);
      running.process.kill('SIGKILL');
      await running.finished;
      t.same(findBrokenPromises(world.storage), []);
      for (const [run, print] of await fingerprintRuns(world.storage)) t.equal(before.get(run), print, run);
    }
    await world.expect(['retention', '--json']);
    t.same(completeRuns(world.storage), [...before.keys()].slice(-2));
    const trash = `${world.storage}/.bakker/trash`;
    t.same(existsSync(trash) ? readdirSync(trash) : [], [], 'nothing is left in the trash');
    const { runs } = await world.verify(['--data']);
    for (const { damaged } of runs) t.same(damaged, []);
  });
}

const LOSSES: Readonly<Record<string, (world: World) => void>> = {
  'were gone': (world) => {
    rmSync(`${world.source}/folder 0`, { recursive: true });
  },
  'were rewritten': (world) => {
    for (const name of readdirSync(`${world.source}/folder 0`))
      writeFileSync(`${world.source}/folder 0/${name}`, `encrypted ${name}`);
  },
};
for (const [what, lose] of Object.entries(LOSSES)) {
  t.test(
    `a run of which most files ${what} is published, and every run stays until a person has looked`,
    async (t) => {
      await using world = await makeWorld({ config: KEEP_TWO });
      writeSampleTree(world.source, { files: 150, filesPerFolder: 100 });
      for (let run = 0; run < 3; run++) await world.backup();
      lose(world);
      const report = await world.backup();
      t.equal(report.status, 'complete');
      t.match(report.warnings.join('\n'), new RegExp(`100 of 150 files ${what}.*retention stands still`));
      await world.backup();
      const runs = completeRuns(world.storage);
      const said = await world.expect(['retention']);
      t.match(said.stdout, /Retention is frozen: 100 of 150 files/);
      t.match((await world.expect(['status'])).stdout, new RegExp(what));
      t.same(completeRuns(world.storage), runs, 'also when the run after it looks harmless');
      rmSync(world.bakker.stateDir, { recursive: true });
      t.match(
        (await world.expect(['retention'])).stdout,
        /Retention is frozen/,
        'nor is it forgotten with the state',
      );
      await world.backup();
      t.match((await world.expect(['retention'])).stdout, /Retention is frozen/, 'by the next run neither');
      await world.expect(['retention', '--thaw']);
      t.same(completeRuns(world.storage).length, 2);
    },
  );
}

t.test('retention never removes the last good run', async (t) => {
  await using world = await makeWorld({
    config: { retention: { days: 1, instances: 0, months: 0, years: 0 } },
  });
  await makeRuns(world, 2);
  await world.expect(['retention', '--json'], 0, { through: ['faketime', '-f', '+4000d'] });
  t.ok(completeRuns(world.storage).length >= 1);
  t.same(findBrokenPromises(world.storage), []);
});
