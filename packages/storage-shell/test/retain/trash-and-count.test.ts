import t from 'tap';
import type { RunName } from '@bakker/impl-format';
import { libc, openFolder, openFolderBeneath } from '@bakker/linux';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addUsage, readUsage, writeUsage } from '../../src/adapters/account/usage-file.ts';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { StorageError } from '../../src/errors.ts';
import type { AccountKeeper } from '../../src/ports/account-keeper.ts';
import { retireRuns } from '../../src/retain/retire-runs.ts';
import type { Retirement } from '../../src/retain/retire-runs.ts';
import { dieAt } from './dying-process.ts';
import { SampleAccount, diskUse, makeRoot } from './sample-account.ts';

const NEVER = new AbortController().signal;
const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2024, 5, 1);
const POLICY = 'retention: {days: 1, instances: 1, months: 0, years: 0}\n';

/** The same keeper but for some of what it does. */
function overridden(keeper: AccountKeeper, instead: Partial<AccountKeeper>): AccountKeeper {
  return new Proxy(keeper, {
    get(target, name): unknown {
      const found: unknown = Reflect.get(name in instead ? instead : target, name);
      return typeof found === 'function' ? (found.bind(target) as unknown) : found;
    },
  });
}

function afterEachDeletion(keeper: AccountKeeper, then: () => Promise<void>): AccountKeeper {
  return overridden(keeper, {
    deleteTrashed: async (name, signal) => {
      const outcome = await keeper.deleteTrashed(name, signal);
      await then();
      return outcome;
    },
  });
}

const whatWent = ({ removed, deleted }: Retirement) => ({ removed, deleted });

function twoRuns(root: string): SampleAccount {
  const account = new SampleAccount(root);
  account.policy(POLICY);
  account.publish('2024_01_01_01', {
    files: { 'd/a': 'a', 'd/b': Buffer.alloc(50_000) },
    receivedAtMs: NOW_MS - 100 * DAY_MS,
  });
  account.publish('2024_01_02_01', {
    parent: '2024_01_01_01',
    files: { 'd/a': null },
    receivedAtMs: NOW_MS - 99 * DAY_MS,
  });
  return account;
}

t.test(
  'a removed run waits in the trash for its hours, then goes; the count of blocks follows',
  async (t) => {
    const root = makeRoot(t);
    const account = twoRuns(root);
    using keeper = openKeeper(root, account.name);
    using folder = openFolder(Buffer.from(account.folder));
    using hidden = openFolderBeneath(folder, Buffer.from('.bakker'));
    writeUsage(hidden, { usedBytes: 1_000_000, inodes: 100, atMs: 5 });
    const [old] = keeper.runs();
    const { together } = await keeper.measure(old === undefined ? [] : [old.run], NEVER);
    const retire = (nowMs: number) => retireRuns(keeper, { nowMs, dryRun: false, signal: NEVER });
    t.same(whatWent(await retire(NOW_MS)), { removed: ['2024_01_01_01'], deleted: [] });
    t.equal(keeper.usedBytes(), 1_000_000);
    t.same(whatWent(await retire(NOW_MS + DAY_MS - 1)), { removed: [], deleted: [] });
    t.same(whatWent(await retire(NOW_MS + DAY_MS)), { removed: [], deleted: ['2024_01_01_01'] });
    t.same(account.trash(), []);
    // Manifest and receipt are two small files beside the tree.
    const counted = readUsage(folder);
    t.equal(1_000_000 - (counted?.usedBytes ?? 0), together.bytes);
    t.equal(100 - (counted?.inodes ?? 0), together.inodes);
  },
);

t.test('a dry run changes nothing, and says what would', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  using keeper = openKeeper(root, account.name);
  const before = account.snapshot();
  const told = await retireRuns(keeper, { nowMs: NOW_MS, dryRun: true, signal: NEVER });
  t.same(whatWent(told), { removed: ['2024_01_01_01'], deleted: [] });
  t.same(account.snapshot(), before);
});

t.test('a frozen account keeps its trash, too', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  using keeper = openKeeper(root, account.name);
  await retireRuns(keeper, { nowMs: NOW_MS, dryRun: false, signal: NEVER });
  await keeper.freeze({ reason: 'odd', sinceRun: undefined, atMs: NOW_MS });
  const told = await retireRuns(keeper, { nowMs: NOW_MS + 30 * DAY_MS, dryRun: false, signal: NEVER });
  t.same(whatWent(told), { removed: [], deleted: [] });
  t.equal(told.frozen, 'odd');
  t.equal(keeper.trash().length, 1);
  const emptied = { nowMs: NOW_MS, dryRun: true, emptyTrash: true, signal: NEVER };
  t.same((await retireRuns(keeper, emptied)).deleted, [], 'nor would it be emptied');
});

t.test('an account above what it may be granted does not wait for its trash', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  account.policy(`${POLICY}space: {limit: 1M, ceiling: 2M}\n`);
  using keeper = openKeeper(root, account.name);
  using folder = openFolder(Buffer.from(account.folder));
  using hidden = openFolderBeneath(folder, Buffer.from('.bakker'));
  const retire = async (usedBytes: number) => {
    writeUsage(hidden, { usedBytes, inodes: 100, atMs: 5 });
    return await retireRuns(keeper, { nowMs: NOW_MS, dryRun: false, signal: NEVER });
  };
  t.same(whatWent(await retire(2 << 20)), { removed: ['2024_01_01_01'], deleted: [] });
  t.same(whatWent(await retire((2 << 20) + 1)), { removed: [], deleted: ['2024_01_01_01'] });
});

t.test('what was cut off or given up is ended, however young', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  using keeper = openKeeper(root, account.name);
  const [old] = keeper.runs();
  // Two second names and the folder were done: the first names are left.
  if (old !== undefined) await dieAt(4, () => keeper.remove(old.run, NOW_MS));
  t.same(account.runs(), ['2024_01_02_01']);
  t.ok(existsSync(join(account.folder, '2024_01_01_01.impl')));
  mkdirSync(join(account.folder, '.bakker/trash/2024_01_03_01.incomplete.0123abcd'));
  const retire = () => retireRuns(keeper, { nowMs: NOW_MS, dryRun: false, signal: NEVER });
  t.same(whatWent(await retire()), { removed: [], deleted: [] });
  t.notOk(existsSync(join(account.folder, '2024_01_01_01.impl')), 'a manifest without its run');
  t.equal(account.trash().length, 3, 'what was given up went');
  const [trashed] = keeper.trash();
  await dieAt(2, () => keeper.deleteTrashed(trashed?.name ?? '', NEVER));
  t.same((await retire()).deleted, ['2024_01_01_01'], 'a deletion that had begun');
  t.same(account.trash(), []);
});

t.test('a deletion that is killed among large files has told of what went', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  const large = join(account.folder, '2024_01_01_01/large');
  mkdirSync(large);
  for (const name of ['a', 'b', 'c']) execFileSync('fallocate', ['-l', '80M', join(large, name)]);
  using folder = openFolder(Buffer.from(account.folder));
  using hidden = openFolderBeneath(folder, Buffer.from('.bakker'));
  using keeper = openKeeper(root, account.name);
  await keeper.remove(keeper.runs()[0]?.run ?? ('' as RunName), NOW_MS);
  writeUsage(hidden, { usedBytes: diskUse(account.folder), inodes: 100, atMs: 5 });
  const calls: { unlinkat: ReturnType<typeof libc>['unlinkat'] } = libc();
  const real = calls.unlinkat;
  // At each name, this might be the end.
  const tooMuch: number[] = [];
  calls.unlinkat = (...parameters) => {
    tooMuch.push((readUsage(folder)?.usedBytes ?? 0) - diskUse(account.folder));
    return real(...parameters);
  };
  try {
    await keeper.deleteTrashed(keeper.trash()[0]?.name ?? '', NEVER);
  } finally {
    calls.unlinkat = real;
  }
  t.ok(tooMuch.length > 5);
  t.ok(Math.max(...tooMuch) < 64 << 20, String(Math.max(...tooMuch)));
  t.same(readdirSync(join(account.folder, '.bakker/trash')), []);
});

t.test('a freeze that comes while the trash is emptied keeps what is still whole', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  const third = { files: { 'd/a': null }, parent: '2024_01_02_01', receivedAtMs: NOW_MS - 98 * DAY_MS };
  account.publish('2024_01_03_01', third);
  using keeper = openKeeper(root, account.name);
  const retire = (of: AccountKeeper) =>
    retireRuns(of, { nowMs: NOW_MS + 30 * DAY_MS, dryRun: false, signal: NEVER });
  for (const { run } of keeper.runs().slice(0, 2)) await keeper.remove(run, NOW_MS);
  const [, second] = keeper.trash();
  const freezing = afterEachDeletion(keeper, () =>
    keeper.freeze({ reason: 'odd', sinceRun: undefined, atMs: NOW_MS }),
  );
  t.same((await retire(freezing)).deleted, ['2024_01_01_01']);
  t.match(keeper.trash(), [{ name: second?.name, isWhole: true }]);
  await keeper.bringBack('2024_01_02_01' as RunName);
  t.same(account.runs(), ['2024_01_02_01', '2024_01_03_01']);
});

t.test('on a full volume a freeze stops the deletions that make room for a removal', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  using keeper = openKeeper(root, account.name);
  const [old] = keeper.runs();
  if (old !== undefined) await keeper.remove(old.run, NOW_MS);
  const third = { files: { 'd/a': null }, parent: '2024_01_02_01', receivedAtMs: NOW_MS - 98 * DAY_MS };
  account.publish('2024_01_03_01', third);
  const full = overridden(keeper, {
    remove: async () => {
      await keeper.freeze({ reason: 'odd', sinceRun: undefined, atMs: NOW_MS });
      throw new StorageError('FULL', 'no name finds room');
    },
  });
  const told = await retireRuns(full, { nowMs: NOW_MS, dryRun: false, signal: NEVER });
  t.same(whatWent(told), { removed: [], deleted: [] });
  t.match(keeper.trash(), [{ run: '2024_01_01_01', isWhole: true }]);
});

t.test('by a clock of another age nothing is removed', async (t) => {
  const root = makeRoot(t);
  const account = twoRuns(root);
  using keeper = openKeeper(root, account.name);
  await t.rejects(retireRuns(keeper, { nowMs: 5, dryRun: false, signal: NEVER }), { code: 'FAILED' });
  t.equal(account.runs().length, 2);
});

t.test('a run without a stamp of the storage is dated by its folder, whatever its server says', async (t) => {
  const root = makeRoot(t);
  const account = new SampleAccount(root);
  account.policy(POLICY);
  account.publish('2024_01_01_01', { files: { a: 'a' }, finishedAtMs: 1 });
  account.publish('2024_01_02_01', { files: { a: 'a' }, finishedAtMs: 1 });
  account.publish('2024_01_03_01', { files: { a: 'a' }, receivedAtMs: null });
  using keeper = openKeeper(root, account.name);
  const nowMs = Date.now();
  t.same((await retireRuns(keeper, { nowMs, dryRun: true, signal: NEVER })).removed, []);
  const later = await retireRuns(keeper, { nowMs: nowMs + 2 * DAY_MS, dryRun: true, signal: NEVER });
  // Without a receipt nobody knows that the third had everything: the second stays as the last complete one.
  t.same(later.removed, ['2024_01_01_01']);
});

t.test('the count is written in one length, and a torn one counts as none', (t) => {
  const account = twoRuns(makeRoot(t));
  using folder = openFolder(Buffer.from(account.folder));
  using hidden = openFolderBeneath(folder, Buffer.from('.bakker'));
  const file = join(account.folder, '.bakker/usage.json');
  t.equal(readUsage(folder), undefined);
  addUsage({ account: folder, hidden }, { bytes: 5, inodes: 1 });
  t.equal(readUsage(folder), undefined, 'nobody counts, so nothing is added');
  writeUsage(hidden, { usedBytes: 2 ** 50, inodes: 10, atMs: 1 });
  const sizeBytes = readFileSync(file).length;
  addUsage({ account: folder, hidden }, { bytes: -(2 ** 50) - 5, inodes: -3 });
  t.same(readUsage(folder), { usedBytes: 0, inodes: 7, atMs: 1 });
  t.equal(readFileSync(file).length, sizeBytes);
  truncateSync(file, 20);
  t.equal(readUsage(folder), undefined);
  writeFileSync(file, 'x'.repeat(10_000));
  t.equal(readUsage(folder), undefined);
  t.end();
});
