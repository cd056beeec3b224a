import t from 'tap';
import type { Test } from 'tap';
import { parseRunName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { libc, openFolder } from '@bakker/linux';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { holdRun } from '../../src/adapters/account/locks.ts';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { dieAt } from './dying-process.ts';
import { SampleAccount, makeRoot } from './sample-account.ts';

const NEVER = new AbortController().signal;
const NOW_MS = Date.UTC(2024, 3, 20);
const HOUR_MS = 3_600_000;

function name(text: string): RunName {
  const run = parseRunName(text);
  if (run === undefined) throw new Error(text);
  return run;
}

const [FIRST, SECOND, THIRD] = [name('2024_04_17_01'), name('2024_04_18_01'), name('2024_04_19_01')];

function threeRuns(t: Test): { root: string; account: SampleAccount } {
  const root = makeRoot(t);
  const account = new SampleAccount(root);
  account.publish(FIRST, { files: { 'etc/a': 'a', 'etc/b': 'b' }, receivedAtMs: NOW_MS - 3e8 });
  account.publish(SECOND, {
    files: { 'etc/a': null, 'etc/b': 'b2' },
    parent: FIRST,
    receivedAtMs: NOW_MS - 2e8,
  });
  account.publish(THIRD, {
    files: { 'etc/a': null, 'etc/b': null },
    parent: SECOND,
    receivedAtMs: NOW_MS - 1e8,
  });
  for (const run of [SECOND, THIRD]) {
    mkdirSync(join(account.folder, `${run}.diff`));
    linkSync(join(account.folder, run, 'etc/b'), join(account.folder, `${run}.diff/b`));
  }
  return { root, account };
}

/** Does it as where files take no further name: the volume is too full for one, or they are of another owner. */
async function withoutSecondNames(act: () => Promise<unknown>): Promise<unknown> {
  const calls: Partial<Record<string, unknown>> = Object.assign(libc());
  const real = { linkat: calls['linkat'], errno: calls['errno'] };
  let hasRefused = false;
  const linkat = (): number => {
    hasRefused = true;
    return -1;
  };
  const errno = (): unknown => {
    const last = hasRefused ? EMLINK : (real.errno as () => number)();
    hasRefused = false;
    return last;
  };
  Object.assign(calls, { linkat, errno });
  try {
    return await act();
  } finally {
    Object.assign(calls, real);
  }
}

const EMLINK = 31;

/** Without `latest`, which is a new symlink, and what the next session clears away. */
function lasting(lines: readonly string[]): string[] {
  return lines.filter((line) => !/^(latest|\.bakker\/tmp-)/.test(line));
}

/** Every run without a suffix has its manifest, and `latest` points at one. */
function holdsInvariants(t: Test, account: SampleAccount, when: string): void {
  for (const run of account.runs())
    t.ok(existsSync(join(account.folder, `${run}.impl`)), `${when}: ${run} has its manifest`);
  t.ok(account.runs().includes(account.latest()), `${when}: latest points at a run`);
}

t.test('a removed run lies in the trash with manifest and receipt, and comes back exactly', async (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  const before = account.snapshot();
  t.equal(await keeper.remove(SECOND, NOW_MS), 'removed');
  t.same(account.runs(), [FIRST, THIRD]);
  t.notOk(existsSync(join(account.folder, `${SECOND}.impl`)));
  t.notOk(existsSync(join(account.folder, `.bakker/receipts/${SECOND}.json`)));
  t.equal(account.trash().length, 4);
  t.equal(await keeper.remove(SECOND, NOW_MS), 'gone');
  await keeper.bringBack(SECOND);
  t.same(account.snapshot(), before);
  t.same(account.trash(), []);
});

t.test('latest moves away from a run that goes, and back when it comes back', async (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  await keeper.remove(THIRD, NOW_MS);
  t.equal(account.latest(), SECOND);
  await keeper.bringBack(THIRD);
  t.equal(account.latest(), THIRD);
  rmSync(join(account.folder, 'latest'));
  await keeper.remove(FIRST, NOW_MS);
  t.equal(account.latest(), THIRD, 'one that was lost is there again');
});

t.test('the only run is never removed', async (t) => {
  const account = new SampleAccount(makeRoot(t));
  account.publish(FIRST, { files: { a: 'a' } });
  using keeper = openKeeper(join(account.folder, '..'), account.name);
  await t.rejects(keeper.remove(FIRST, NOW_MS), { code: 'FAILED' });
  t.same(account.runs(), [FIRST]);
});

for (const { when, hasRoom, mends } of [
  { when: 'ends it', hasRoom: true, mends: true },
  { when: 'ends it, where no file takes a second name', hasRoom: false, mends: true },
  { when: 'may be for it to come back', hasRoom: true, mends: false },
]) {
  t.test(`a removal that dies at any step leaves whole runs, and the next call ${when}`, async (t) => {
    let deaths = 0;
    for (let step = 1; ; step++) {
      const { root, account } = threeRuns(t);
      const before = account.snapshot();
      using keeper = openKeeper(root, account.name);
      const remove = (): Promise<unknown> => keeper.remove(THIRD, NOW_MS);
      const died = await dieAt(step, () => (hasRoom ? remove() : withoutSecondNames(remove)));
      holdsInvariants(t, account, `step ${step}`);
      if (mends) await keeper.mend();
      holdsInvariants(t, account, `mended after step ${step}`);
      if (account.runs().includes(THIRD)) await remove();
      if (mends)
        t.notOk(existsSync(join(account.folder, `${THIRD}.impl`)), 'no manifest is left of a run that went');
      await keeper.bringBack(THIRD);
      t.same(lasting(account.snapshot()), lasting(before), `whole after step ${step}`);
      t.equal(account.latest(), THIRD);
      t.same(account.trash(), []);
      if (!died) break;
      deaths++;
    }
    t.ok(deaths >= 6, `${deaths} deaths`);
  });
}

t.test('a run whose manifest takes no second name does not come back before it', async (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  await keeper.remove(THIRD, NOW_MS);
  const before = account.snapshot();
  await t.rejects(
    withoutSecondNames(() => keeper.bringBack(THIRD)),
    { code: 'EMLINK' },
  );
  t.same(account.snapshot(), before);
});

t.test('bringing back may die at any step, too', async (t) => {
  let deaths = 0;
  for (let step = 1; ; step++) {
    const { root, account } = threeRuns(t);
    const before = account.snapshot();
    using keeper = openKeeper(root, account.name);
    await keeper.remove(SECOND, NOW_MS);
    const died = await dieAt(step, () => keeper.bringBack(SECOND));
    holdsInvariants(t, account, `step ${step}`);
    await keeper.mend();
    if (!account.runs().includes(SECOND)) await keeper.bringBack(SECOND);
    t.same(account.snapshot(), before, `whole after step ${step}`);
    t.same(account.trash(), [], `nothing is left in the trash after step ${step}`);
    if (!died) break;
    deaths++;
  }
  t.ok(deaths >= 5, `${deaths} deaths`);
});

t.test('a deletion that dies at any step is ended by the next, and is not brought back half', async (t) => {
  for (let step = 1; ; step++) {
    const { root, account } = threeRuns(t);
    using keeper = openKeeper(root, account.name);
    await keeper.remove(FIRST, NOW_MS);
    const kept = account.snapshot();
    const trashed = keeper.trash()[0]?.name ?? '';
    const died = await dieAt(step, () => keeper.deleteTrashed(trashed, NEVER));
    if (step > 1) await t.rejects(keeper.bringBack(FIRST), { code: 'NOT_FOUND' });
    for (const entry of keeper.trash()) await keeper.deleteTrashed(entry.name, NEVER);
    await keeper.mend();
    t.same(account.trash(), [], `empty after step ${step}`);
    t.same(account.snapshot(), kept, `the others stay as they are after step ${step}`);
    if (!died) break;
  }
});

t.test('a run that a session has as its parent stays', async (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  using folder = openFolder(Buffer.from(account.folder));
  const held = holdRun(folder, SECOND);
  t.ok(held);
  t.equal(await keeper.remove(SECOND, NOW_MS), 'in-use');
  t.equal(await keeper.remove(FIRST, NOW_MS), 'removed', 'others go');
  held?.[Symbol.dispose]();
  t.equal(await keeper.remove(SECOND, NOW_MS), 'removed');
  t.equal(holdRun(folder, SECOND), undefined, 'what went is nobody’s parent');
});

for (const taken of [THIRD, `${THIRD}.incomplete`, `${THIRD}.impl`]) {
  t.test(`a name that was used again is not overwritten, be it ${taken} alone`, async (t) => {
    const { root, account } = threeRuns(t);
    using keeper = openKeeper(root, account.name);
    await keeper.remove(THIRD, NOW_MS);
    writeFileSync(join(account.folder, taken), 'new');
    await t.rejects(keeper.bringBack(THIRD), { code: 'NAME_TAKEN' });
    t.equal(readFileSync(join(account.folder, taken), 'utf8'), 'new');
  });
}

for (const taken of [THIRD, `${THIRD}.incomplete`]) {
  t.test(`the manifest of a name that was used again is nobody’s rest, beside ${taken}`, async (t) => {
    const { root, account } = threeRuns(t);
    using keeper = openKeeper(root, account.name);
    await keeper.remove(THIRD, NOW_MS);
    for (const name of account.trash())
      if (/impl|json/.test(name)) rmSync(join(account.folder, '.bakker/trash', name));
    mkdirSync(join(account.folder, taken));
    writeFileSync(join(account.folder, `${THIRD}.impl`), 'new');
    const before = account.snapshot();
    await keeper.mend();
    t.same(account.snapshot(), before);
  });
}

t.test('of several removals of one name the newest comes back', async (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  for (const hour of [3, 2, 1]) {
    await keeper.remove(THIRD, NOW_MS + hour * HOUR_MS);
    account.publish(THIRD, { files: { hour: `${hour - 1}` } });
  }
  await keeper.remove(THIRD, NOW_MS);
  t.same(
    keeper.trash().map(({ trashedAtMs }) => trashedAtMs - NOW_MS),
    [0, 1, 2, 3].map((hour) => hour * HOUR_MS),
    'the oldest first',
  );
  await keeper.bringBack(THIRD);
  t.ok(existsSync(join(account.folder, THIRD, 'etc/a')));
});

t.test('a frozen account loses no run, whoever planned it', async (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  await keeper.freeze({ reason: 'looks odd', sinceRun: THIRD, atMs: NOW_MS });
  t.equal(await keeper.remove(FIRST, NOW_MS), 'frozen');
  t.same(await keeper.thaw(), { reason: 'looks odd', sinceRun: THIRD, atMs: NOW_MS });
  t.equal(await keeper.thaw(), undefined);
  t.equal(await keeper.remove(FIRST, NOW_MS), 'removed');
});

t.test('a frozen.json that can not be read freezes', (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  const file = join(account.folder, '.bakker/frozen.json');
  for (const text of ['{"reason":', ' '.repeat(70_000)]) {
    writeFileSync(file, text);
    t.match(keeper.frozen(), { reason: /can not be read/ });
  }
  rmSync(file);
  mkdirSync(file);
  t.match(keeper.frozen(), { reason: /can not be read/ }, 'nor one that is no file');
  t.end();
});

t.test('the trash of another hand is deleted, symlinks not followed', async (t) => {
  const { root, account } = threeRuns(t);
  using keeper = openKeeper(root, account.name);
  account.publish('2024_04_21_01', { files: { x: 'x' }, receivedAtMs: null });
  renameSync(
    join(account.folder, '2024_04_21_01'),
    join(account.folder, '.bakker/trash/2024_04_21_01.token'),
  );
  symlinkSync(join(account.folder, FIRST), join(account.folder, '.bakker/trash/2024_04_21_01.token/link'));
  symlinkSync(join(account.folder, FIRST), join(account.folder, '.bakker/trash/link'));
  writeFileSync(join(account.folder, '.bakker/trash/file'), 'x');
  const kept = account.snapshot();
  await keeper.deleteGivenUp(NEVER);
  t.same(account.trash(), []);
  t.same(account.snapshot(), kept);
});
