import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { openReadingLock } from '../../src/adapters/state/reading-lock.ts';
import { openStateFolder } from '../../src/adapters/state-folder.ts';
import type { RunName } from '@bakker/impl-format';
import { BAKKER, makeBench } from './run-bakker.ts';
import type { Bench } from './run-bakker.ts';

const DAY_MS = 86_400_000;
const TWO = 'retention: { days: 1, instances: 2, months: 0, years: 0 }\n';

/** Makes runs that say they are so many days old, oldest first. */
function makeRuns(bench: Bench, agesDays: readonly number[]): string[] {
  for (const age of agesDays) {
    const { status, stdout, stderr } = bench.run('backup', '--json', '--quiet');
    if (status !== 0) throw new Error(stderr);
    const { run } = JSON.parse(stdout) as { run: string };
    const file = join(bench.account, '.bakker/receipts', `${run}.json`);
    const receipt = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const finishedAtMs = Date.now() - age * DAY_MS;
    rmSync(file);
    writeFileSync(file, JSON.stringify({ ...receipt, startedAtMs: finishedAtMs, finishedAtMs }));
  }
  return runsOf(bench);
}

function runsOf(bench: Bench): string[] {
  return readdirSync(bench.account)
    .filter((name) => /^\d{4}_\d\d_\d\d_\d+$/.test(name))
    .sort();
}

function verdictsOf(stdout: string): { run: string; keep: boolean; reasons: string[] }[] {
  return JSON.parse(stdout) as { run: string; keep: boolean; reasons: string[] }[];
}

t.test('what the policy does not keep is removed, and only that; a dry run removes nothing', (t) => {
  using bench = makeBench(TWO);
  const runs = makeRuns(bench, [40, 30, 20, 10]);
  const dry = bench.run('retention', '--dry-run', '--explain');
  t.equal(dry.status, 0);
  t.match(dry.stdout, new RegExp(`^${runs[3]}  stays +one of the newest 2, last good run$`, 'm'));
  t.match(dry.stdout, new RegExp(`^${runs[0]}  would go$`, 'm'));
  t.match(dry.stdout, new RegExp(`Would remove 2 runs: ${runs[1]}, ${runs[0]}\\. 2 runs stay\\.`));
  t.strictSame(runsOf(bench), runs);

  const done = bench.run('retention', '--json', '--quiet');
  t.equal(done.stderr, '');
  t.strictSame(verdictsOf(done.stdout), [
    { run: runs[3], keep: true, reasons: ['one of the newest 2', 'last good run'] },
    { run: runs[2], keep: true, reasons: ['one of the newest 2'] },
    { run: runs[1], keep: false, reasons: [] },
    { run: runs[0], keep: false, reasons: [] },
  ]);
  t.strictSame(runsOf(bench), runs.slice(2));
  t.strictSame(
    readdirSync(bench.account).filter((name) => name.endsWith('.impl')),
    runs.slice(2).map((run) => `${run}.impl`),
  );
  t.match(bench.run('retention').stdout, /^Nothing to remove: 2 runs stay\.\n$/);
  t.end();
});

t.test('a frozen retention removes nothing until it is thawed', async (t) => {
  using bench = makeBench(TWO);
  const runs = makeRuns(bench, [40, 30, 20]);
  const state = await openStateFolder(bench.stateDir);
  const last = await state.lastRuns();
  await state.saveLastRuns({ ...last, frozen: { reason: 'half was gone', sinceRun: runs[2] as RunName } });
  const frozen = bench.run('retention');
  t.equal(frozen.status, 0);
  t.match(frozen.stdout, new RegExp(`Retention is frozen: half was gone \\(since run ${runs[2]}\\)`));
  t.match(bench.run('status').stdout, /Retention stands still since .*: half was gone/);
  t.strictSame(runsOf(bench), runs);

  t.match(bench.run('retention', '--thaw', '--dry-run').stdout, /Would remove 1 run/);
  t.match(bench.run('retention').stdout, /is frozen/, 'a dry run thaws nothing');
  t.match(bench.run('retention', '--thaw').stdout, /Removed 1 run/);
  t.strictSame(runsOf(bench), runs.slice(1));
  t.equal((await state.lastRuns()).frozen, undefined);
});

t.test('when the state is lost, the receipts remember that retention is frozen', (t) => {
  using bench = makeBench(TWO);
  const runs = makeRuns(bench, [40, 30, 20]);
  const file = join(bench.account, '.bakker/receipts', `${runs[2]}.json`);
  const receipt = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...receipt, frozen: 'half was gone' }));
  rmSync(bench.stateDir, { recursive: true });
  t.match(bench.run('retention').stdout, /is frozen: half was gone/);
  t.strictSame(runsOf(bench), runs);
  t.end();
});

/** Lets a run say that a guard wanted retention to stand still. */
function markFrozen(bench: Bench, run: string | undefined): void {
  const file = join(bench.account, '.bakker/receipts', `${run}.json`);
  const receipt = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  rmSync(file);
  writeFileSync(file, JSON.stringify({ ...receipt, frozen: 'half was gone' }));
}

t.test('a freeze is kept of a run whose publish this machine never heard of', async (t) => {
  using bench = makeBench(TWO);
  makeRuns(bench, [40, 30, 20]);
  const state = await openStateFolder(bench.stateDir);
  const before = await state.lastRuns();
  const runs = makeRuns(bench, [10]);
  markFrozen(bench, runs[3]);
  await state.saveLastRuns(before); // the line broke, or the process ended, in the moment of the publish

  t.match(bench.run('retention').stdout, new RegExp(`is frozen: half was gone .since run ${runs[3]}`));
  const next = makeRuns(bench, [0]);
  t.match(await state.lastRuns(), { frozen: { reason: 'half was gone', sinceRun: runs[3] } });
  t.match(bench.run('retention').stdout, /is frozen/, 'also after the next run');
  t.strictSame(runsOf(bench), next);
  t.match(bench.run('retention', '--thaw').stdout, /Removed 3 runs/);
  t.match(bench.run('retention').stdout, /Nothing to remove/);
});

t.test('a thaw holds for a freeze that only the receipts knew of', async (t) => {
  using bench = makeBench(TWO);
  makeRuns(bench, [40, 30]);
  const state = await openStateFolder(bench.stateDir);
  const before = await state.lastRuns();
  markFrozen(bench, makeRuns(bench, [20])[2]);
  await state.saveLastRuns(before);
  t.match(bench.run('retention', '--thaw').stdout, /Removed 1 run/);
  t.match(bench.run('retention').stdout, /Nothing to remove/);
  makeRuns(bench, [0]);
  t.equal((await state.lastRuns()).frozen, undefined);
  t.match(bench.run('retention').stdout, /Removed 1 run/);
});

t.test('a run without its manifest takes no place, one without its receipt is dated by its name', (t) => {
  using bench = makeBench(TWO);
  const runs = makeRuns(bench, [40, 30, 20, 10]);
  rmSync(join(bench.account, `${runs[3]}.impl`));
  rmSync(join(bench.account, '.bakker/receipts', `${runs[0]}.json`));
  const verdicts = verdictsOf(bench.run('retention', '--json', '--dry-run').stdout);
  t.strictSame(
    verdicts.map(({ keep }) => keep),
    [false, true, true, true],
  );
  t.match(verdicts[3]?.reasons, ['younger than 1 day']);
  t.end();
});

t.test('nothing goes while a restore or verify reads on this machine; they wait for a removal', async (t) => {
  using bench = makeBench(TWO);
  const runs = makeRuns(bench, [40, 30, 20, 10]);
  const lock = openReadingLock(bench.stateDir);
  {
    using _reading = lock.tryRead();
    using _another = lock.tryRead();
    const { status, stdout } = bench.run('retention', '--explain');
    t.equal(status, 0);
    t.match(stdout, /A restore or verify is under way here/);
    t.match(stdout, new RegExp(`^${runs[0]}  stays +a restore or verify is under way$`, 'm'));
    t.match(stdout, /Nothing to remove: 4 runs stay/);
    t.strictSame(runsOf(bench), runs);
  }
  for (const words of [['verify'], ['restore', '--to', join(bench.folder, 'back')]]) {
    const removing = lock.tryRemove();
    t.ok(removing, `nobody reads before ${words[0]}`);
    t.equal(lock.tryRead(), undefined);
    const reading = spawn(BAKKER, [...words, '--config', bench.configFile, '--state', bench.stateDir]);
    const ended = once(reading, 'close');
    t.equal(await Promise.race([ended, delay(2000, 'waits')]), 'waits', `${words[0]} waits`);
    removing?.[Symbol.dispose]();
    t.strictSame(await ended, [0, null]);
  }
  t.match(bench.run('retention').stdout, /Removed 2 runs/);
});

t.test('a restore without a state folder locks nothing', (t) => {
  using bench = makeBench(TWO);
  makeRuns(bench, [1]);
  rmSync(bench.stateDir, { recursive: true });
  t.equal(bench.run('restore', '--to', join(bench.folder, 'back')).status, 0);
  t.notOk(existsSync(bench.stateDir));
  t.end();
});

t.test('retention waits for no backup: it says who holds the lock, exit 11', async (t) => {
  using bench = makeBench(TWO);
  makeRuns(bench, [1]);
  const state = await openStateFolder(bench.stateDir);
  using _lock = await state.lock('a backup under test');
  const { status, stdout, stderr } = bench.run('retention');
  t.equal(status, 11);
  t.equal(stdout, '');
  t.match(stderr, /a backup under test/);
});
