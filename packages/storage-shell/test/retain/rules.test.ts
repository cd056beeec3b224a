import t from 'tap';
import fc from 'fast-check';
import { nextRunName } from '@bakker/impl-format';
import { DEFAULT_POLICY } from '../../src/policy/account-policy.ts';
import { freezeReason } from '../../src/retain/freeze-rules.ts';
import { goingRuns, judgeRuns } from '../../src/retain/judge-runs.ts';
import { InodeCounts } from '../../src/retain/inode-counts.ts';
import { DistinctUse, SharedUse } from '../../src/retain/shared-use.ts';
import { parseStoredReceipt } from '../../src/retain/stored-receipt.ts';
import type { FrozenAccount, StoredRun } from '../../src/ports/account-keeper.ts';
import { isDue, parseTrashName, trashName } from '../../src/retain/trash-names.ts';

const HOUR_MS = 3_600_000;

t.test('a run freezes when more than the share of enough files is gone, or too many come', (t) => {
  const policy = DEFAULT_POLICY.freeze;
  const reason = (parentFiles: number, keptFiles: number, runsReceivedLastDay = 1) =>
    freezeReason({ parentFiles, keptFiles, runsReceivedLastDay, policy });
  t.equal(reason(0, 0), undefined, 'a first run');
  t.equal(reason(99, 0), undefined, 'too few files to judge by');
  t.equal(reason(100, 50), undefined, 'just half');
  t.match(reason(100, 49), /51 of 100 files \(51 %\)/);
  t.equal(reason(1_000, 2_000), undefined, 'more than were there');
  t.equal(reason(100, 100, 24), undefined);
  t.match(reason(100, 100, 25), /25 runs came within 24 hours, more than 24/);
  t.end();
});

t.test('what is no whole run takes the place of none, and the clock of the storage decides', (t) => {
  const nowMs = Date.UTC(2024, 3, 20);
  const rules = { days: 1, instances: 1, months: 0, years: 0 };
  const stored = (day: number, found: Partial<StoredRun> = {}): StoredRun => {
    const receivedAtMs = Date.UTC(2024, 2, day);
    const receipt = { receivedAtMs, status: 'complete' as const, manifestSha256: undefined };
    const run = nextRunName([], receivedAtMs);
    return { run, receipt, folderChangedAtMs: nowMs, hasManifest: true, isHurt: false, ...found };
  };
  const good = [stored(1), stored(2)];
  const going = (runs: readonly StoredRun[], frozen?: FrozenAccount): readonly string[] =>
    goingRuns(judgeRuns(runs, { rules, frozen, nowMs }), runs, nowMs).toSorted();
  const all = (runs: readonly StoredRun[]): readonly string[] => runs.map(({ run }) => run);
  t.same(going([...good, stored(3)]), all(good));
  const worse = [stored(3, { hasManifest: false }), stored(4, { isHurt: true })];
  t.same(going([...good, ...worse]), [good[0]?.run, ...all(worse)], 'the last good one stays');
  const untold = stored(5, { receipt: undefined });
  t.same(going([...good, untold]), [good[0]?.run], 'of what was not told all, it stays, too');
  t.same(going([...good, stored(3)], { reason: 'odd', sinceRun: undefined, atMs: 0 }), []);
  t.end();
});

t.test('counts of inodes are those of a Map, whatever is added and removed', (t) => {
  const inode = fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 5 }).map((n) => n * 2 ** 33 + 7),
  );
  const steps = fc.array(fc.record({ inode, isRemoved: fc.boolean() }), { maxLength: 400 });
  const check = fc.check(
    fc.property(steps, (list) => {
      const counts = new InodeCounts();
      const model = new Map<number, number>();
      for (const step of list) {
        if (step.isRemoved) {
          counts.remove(step.inode);
          model.delete(step.inode);
        } else {
          const names = (model.get(step.inode) ?? 0) + 1;
          model.set(step.inode, names);
          if (counts.add(step.inode) !== names) return false;
        }
      }
      return counts.size === model.size;
    }),
    { numRuns: 500 },
  );
  t.notOk(check.failed, JSON.stringify(check.counterexample));
  t.end();
});

t.test('a million inodes that wait for other names take little memory', (t) => {
  const before = process.memoryUsage().arrayBuffers;
  const use = new SharedUse();
  for (let inode = 1; inode <= 1_000_000; inode++) use.meet({ inode, links: 2, bytes: 4096 });
  t.same(use.freed, { bytes: 0, inodes: 0 });
  t.ok(process.memoryUsage().arrayBuffers - before < 100_000_000);
  for (let inode = 1; inode <= 1_000_000; inode++) use.meet({ inode, links: 2, bytes: 4096 });
  t.same(use.freed, { bytes: 4_096_000_000, inodes: 1_000_000 });
  t.end();
});

t.test('what goes is what lost its last name; what is used counts once', (t) => {
  const shared = new SharedUse();
  const distinct = new DistinctUse();
  for (const inode of [
    { inode: 1, links: 1, bytes: 1 },
    { inode: 2, links: 2, bytes: 10 },
    { inode: 3, links: 3, bytes: 100 },
    { inode: 2, links: 2, bytes: 10 },
    { inode: 3, links: 3, bytes: 100 },
  ]) {
    shared.meet(inode);
    distinct.meet(inode);
  }
  t.same(shared.freed, { bytes: 11, inodes: 2 });
  t.same(distinct.used, { bytes: 111, inodes: 3 });
  t.end();
});

t.test('names in the trash tell run and time; others are nobody’s', (t) => {
  const run = nextRunName([], Date.UTC(2024, 3, 18));
  const name = trashName(run, 1_713_492_000_123, 0xdeadbeef);
  t.match(parseTrashName(name), { run, trashedAtMs: 1_713_492_000_123, name, suffix: undefined });
  t.match(parseTrashName(`${name}.impl`), { run, name, suffix: '.impl' });
  for (const other of [
    `${run}.0123abcd`,
    `${run}.incomplete.0123abcd`,
    `${name}.x`,
    `x${name}`,
    run,
    '',
    `${name}0`,
  ])
    t.equal(parseTrashName(other), undefined, other);
  t.end();
});

t.test('the time in the trash counts from the rename where a clock was ahead', (t) => {
  const nowMs = Date.UTC(2024, 3, 20);
  const due = (trashedAtMs: number, renamedAtMs: number, keepHours = 24) =>
    isDue({ trashedAtMs, renamedAtMs }, { nowMs, keepHours });
  t.equal(due(nowMs - 24 * HOUR_MS, 0), true);
  t.equal(due(nowMs - 24 * HOUR_MS + 1, 0), false);
  t.equal(due(nowMs, nowMs, 0), true);
  t.equal(due(nowMs + 1, nowMs - 25 * HOUR_MS), true);
  t.equal(due(nowMs + 1, nowMs - HOUR_MS), false);
  t.end();
});

t.test('of a receipt only what the storage wrote counts as its date', (t) => {
  const text = JSON.stringify({ run: '2024_04_18_01', status: 'complete', finishedAtMs: 5, startedAtMs: 4 });
  t.same(parseStoredReceipt(text, '2024_04_18_01'), {
    status: 'complete',
    receivedAtMs: undefined,
    manifestSha256: undefined,
  });
  t.equal(parseStoredReceipt(text, '2024_04_18_02'), undefined, 'of another run');
  for (const rubbish of ['', '[]', 'null', '{', '{"run":"2024_04_18_01","status":"fine"}'])
    t.equal(parseStoredReceipt(rubbish, '2024_04_18_01'), undefined, rubbish);
  t.end();
});
