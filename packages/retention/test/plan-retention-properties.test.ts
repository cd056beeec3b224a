import { deepEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { planRetention } from '../src/plan-retention.ts';
import type { RetainedRun } from '../src/plan-retention.ts';
import type { RetentionPolicy } from '../src/policy.ts';
import { mayGoNow } from '../src/may-go-now.ts';
import { removalOrder } from '../src/removal-order.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START = Date.UTC(2020, 0, 1);
const NOW = Date.UTC(2025, 0, 1, 12);
const STANDARD: RetentionPolicy = { days: 14, instances: 7, months: 12, years: 4 };

const part = fc.integer({ min: 0, max: 20 });
const policy: fc.Arbitrary<RetentionPolicy> = fc
  .record({ days: part, instances: part, months: part, years: part })
  .filter((given) => given.days + given.instances + given.months + given.years > 0);
const state = fc.constantFrom<RetainedRun['state']>('complete', 'complete', 'partial', 'damaged');
/** Dates as a hostile or broken server writes them. */
const anyDate = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: START, max: NOW }) },
  { weight: 1, arbitrary: fc.integer({ min: NOW + 1, max: NOW + 3000 * DAY_MS }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, -1, NaN, Infinity, -Infinity, 8.64e15, -8.64e15, 1e300, NOW, NOW + 1),
  },
);
const hostileRuns = runsOf(anyDate);
/** Few dates, so that runs change places easily. */
const alikeRuns = runsOf(
  fc.constantFrom(0, NaN, 1e300, ...[2020, 2021, 2022, 2023, 2024].map((year) => Date.UTC(year, 5, 1))),
  12,
);
const ONLY_YEARS = { days: 0, instances: 0, months: 0, years: 2 };
const pastRuns = runsOf(fc.oneof(fc.integer({ min: START, max: NOW }), fc.constantFrom(0, NaN)));
const orderlyRuns = runsOf(fc.integer({ min: START, max: NOW })).map((runs) => {
  const dates = runs.map((run) => run.receivedAtMs).sort((a, b) => a - b);
  return runs.map((run, index) => ({ ...run, receivedAtMs: dates[index] ?? 0 }));
});

function received(...dates: readonly string[]): RetainedRun[] {
  return dates.map((date, index) => ({
    run: `r${index}`,
    receivedAtMs: Date.parse(date),
    state: 'complete',
  }));
}

function runsOf(date: fc.Arbitrary<number>, maxLength = 60): fc.Arbitrary<RetainedRun[]> {
  return fc
    .array(fc.tuple(date, state), { maxLength })
    .map((given) => given.map(([receivedAtMs, state], index) => ({ run: `r${index}`, receivedAtMs, state })));
}

function keptOf(runs: readonly RetainedRun[], by: RetentionPolicy, nowMs: number): Set<string> {
  return new Set(
    planRetention(runs, by, nowMs)
      .filter((verdict) => verdict.keep)
      .map((verdict) => verdict.run),
  );
}

/** Removes what goes, in its order, but for some, and for what `mayGoNow` holds back. */
function removeButThose(
  runs: readonly RetainedRun[],
  by: RetentionPolicy,
  isPassedOver: readonly boolean[],
): { left: readonly RetainedRun[]; heldBack: readonly string[] } {
  const verdicts = planRetention(runs, by, NOW);
  const heldBack: string[] = [];
  let left = runs;
  for (const [index, { run }] of removalOrder(runs, verdicts, NOW).entries()) {
    if (isPassedOver[index] === true) continue;
    if (mayGoNow(run, { left, verdicts, policy: by, nowMs: NOW }))
      left = left.filter((other) => other.run !== run);
    else heldBack.push(run);
  }
  return { left, heldBack };
}

t.test('every run gets one verdict, newest first, with reasons exactly when it is kept', (t) => {
  fc.assert(
    fc.property(hostileRuns, policy, (runs, by) => {
      const verdicts = planRetention(runs, by, NOW);
      deepEqual(
        verdicts.map((verdict) => verdict.run),
        runs.map((run) => run.run).reverse(),
      );
      for (const { keep, reasons } of verdicts) {
        ok(keep === reasons.length > 0);
        ok(new Set(reasons).size === reasons.length);
      }
    }),
    { numRuns: 2000 },
  );
  t.pass('2,000 histories');
  t.end();
});

t.test('the last good run and the newest usable runs stay, whatever the dates say', (t) => {
  fc.assert(
    fc.property(hostileRuns, policy, (runs, by) => {
      const kept = keptOf(runs, by, NOW);
      const complete = runs.findLast((run) => run.state === 'complete');
      const usable = runs.filter((run) => run.state !== 'damaged');
      if (complete !== undefined) ok(kept.has(complete.run));
      for (const run of usable.slice(-Math.max(1, by.instances))) ok(kept.has(run.run));
      if (usable.length === 0) ok(kept.size === runs.length);
    }),
    { numRuns: 2000 },
  );
  t.pass('2,000 histories');
  t.end();
});

t.test('planning again after deleting removes nothing more at the same instant', (t) => {
  fc.assert(
    fc.property(hostileRuns, policy, (runs, by) => {
      const kept = keptOf(runs, by, NOW);
      const left = runs.filter((run) => kept.has(run.run));
      deepEqual(keptOf(left, by, NOW), kept);
    }),
    { numRuns: 5000 },
  );
  t.pass('5,000 histories');
  t.end();
});

t.test('removing what may go puts nothing else at risk, wherever it is cut off', (t) => {
  fc.assert(
    fc.property(fc.oneof(hostileRuns, alikeRuns), policy, fc.nat({ max: 60 }), (runs, by, removed) => {
      const verdicts = planRetention(runs, by, NOW);
      const kept = keptOf(runs, by, NOW);
      const order = removalOrder(runs, verdicts, NOW);
      deepEqual(new Set([...kept, ...order.map(({ run }) => run)]), new Set(runs.map(({ run }) => run)));
      const gone = new Set(order.slice(0, removed));
      const left = runs.filter((run) => !gone.has(run));
      const keptLater = keptOf(left, by, NOW);
      for (const run of kept) ok(keptLater.has(run), run);
    }),
    {
      numRuns: 10_000,
      examples: [
        // by order, the third was of 2024 as long as the second was there
        [received('2023-01-01', '2024-01-01', '2023-01-01', '2024-01-01', '2023-06-01'), ONLY_YEARS, 1],
      ],
    },
  );
  t.pass('10,000 histories');
  t.end();
});

t.test('nor do runs that are passed over, if it is asked of each behind them whether it may go', (t) => {
  const passing = fc.array(fc.boolean(), { minLength: 60, maxLength: 60 });
  fc.assert(
    fc.property(fc.oneof(hostileRuns, alikeRuns), policy, passing, (runs, by, isPassedOver) => {
      const kept = keptOf(runs, by, NOW);
      const { left } = removeButThose(runs, by, isPassedOver);
      const keptLater = keptOf(left, by, NOW);
      for (const run of kept) ok(keptLater.has(run), run);
    }),
    { numRuns: 3000 },
  );
  const summers = { r0: 2020, r1: NaN, r2: 2021, r3: 2020, r4: 2021, r5: NaN, r6: 2021 };
  const runs = Object.entries(summers).map(([run, year]): RetainedRun => ({
    ...{ run, receivedAtMs: Date.UTC(year, 5, 1) || 0 },
    state: run === 'r3' ? 'damaged' : 'complete',
  }));
  t.same(removeButThose(runs, { ...ONLY_YEARS, instances: 2 }, [true, false, true]).heldBack, ['r2']);
  t.end();
});

t.test('a more generous policy keeps everything that a meaner one keeps', (t) => {
  fc.assert(
    fc.property(hostileRuns, policy, policy, (runs, by, more) => {
      const generous = {
        days: by.days + more.days,
        instances: by.instances + more.instances,
        months: by.months + more.months,
        years: by.years + more.years,
      };
      const kept = keptOf(runs, generous, NOW);
      for (const run of keptOf(runs, by, NOW)) ok(kept.has(run), run);
    }),
    { numRuns: 2000 },
  );
  t.pass('2,000 histories');
  t.end();
});

t.test('what may go today may also go later', (t) => {
  fc.assert(
    fc.property(pastRuns, policy, fc.integer({ min: 0, max: 2000 * DAY_MS }), (runs, by, laterMs) => {
      const keptNow = keptOf(runs, by, NOW);
      for (const run of keptOf(runs, by, NOW + laterMs)) ok(keptNow.has(run), run);
    }),
    { numRuns: 2000 },
  );
  t.pass('2,000 histories');
  t.end();
});

t.test('what a stolen server adds, with any dates, removes nothing that real time would have kept', (t) => {
  const breakIn = Date.UTC(2025, 0, 20);
  const honestRuns = orderlyRuns.map((runs) => [
    ...runs,
    { run: 'last', receivedAtMs: breakIn - DAY_MS, state: 'complete' as const },
  ]);
  fc.assert(
    fc.property(honestRuns, hostileRuns, (honest, added) => {
      const hostile = added.map((run) => ({ ...run, run: `hostile-${run.run}` }));
      const after = keptOf([...honest, ...hostile], STANDARD, breakIn);
      for (const { run, reasons } of planRetention(honest, STANDARD, breakIn)) {
        // Newest runs are used up by new ones, and so are the month and the year that still go on.
        const lasting = reasons.filter((reason) => /^younger|^newest of (?!2025)/.test(reason));
        if (lasting.length > 0) ok(after.has(run), `${run}: ${lasting.join(', ')}`);
      }
    }),
    { numRuns: 3000 },
  );
  t.pass('3,000 break-ins');
  t.end();
});

t.test('a run without a date goes before the one that it is dated by', (t) => {
  const nowMs = Date.UTC(2024, 11, 28);
  const runs: RetainedRun[] = [
    { run: 'of this month', receivedAtMs: Date.UTC(2024, 11, 10), state: 'complete' },
    { run: 'without a date', receivedAtMs: NaN, state: 'complete' },
    { run: 'old', receivedAtMs: Date.UTC(2023, 0, 1), state: 'complete' },
    { run: 'young, damaged', receivedAtMs: Date.UTC(2024, 11, 27), state: 'damaged' },
    { run: 'last', receivedAtMs: Date.UTC(2023, 1, 1), state: 'complete' },
  ];
  const by = { days: 3, instances: 0, months: 1, years: 0 };
  const kept = keptOf(runs, by, nowMs);
  const going = removalOrder(runs, planRetention(runs, by, nowMs), nowMs).map(({ run }) => run);
  t.strictSame(going, ['without a date', 'old']);
  for (const count of [1, 2]) {
    const left = runs.filter(({ run }) => !going.slice(0, count).includes(run));
    const next = keptOf(left, by, nowMs);
    for (const run of kept) t.ok(next.has(run), `${run}, after ${count}`);
  }
  t.end();
});

t.test('five years of daily runs leave 14 days, 12 months and 4 years', (t) => {
  let runs: RetainedRun[] = [];
  let last = START;
  for (let day = 0; day < 5 * 365; day++) {
    last = START + day * DAY_MS + 3 * HOUR_MS;
    runs.push({ run: name(last), receivedAtMs: last, state: 'complete' });
    const kept = keptOf(runs, STANDARD, last + HOUR_MS);
    runs = runs.filter((run) => kept.has(run.run));
    if (day > 40) ok(runs.length <= 14 + 12 + 4, `${runs.length} runs on day ${day}`);
  }
  t.equal(name(last), '2024-12-29');
  t.strictSame(
    runs.map((run) => run.run),
    [
      ...['2021-12-31', '2022-12-31', '2023-12-31'],
      ...['2024-01-31', '2024-02-29', '2024-03-31', '2024-04-30', '2024-05-31', '2024-06-30'],
      ...['2024-07-31', '2024-08-31', '2024-09-30', '2024-10-31', '2024-11-30'],
      ...Array.from({ length: 14 }, (_, index) => `2024-12-${16 + index}`),
    ],
  );
  t.end();
});

t.test('five years of irregular runs keep one of every month and year that should have one', (t) => {
  const gap = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: HOUR_MS, max: 2 * DAY_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 10 * DAY_MS, max: 120 * DAY_MS }) },
  );
  fc.assert(
    fc.property(fc.array(gap, { minLength: 200, maxLength: 400 }), (gaps) => {
      const all: RetainedRun[] = [];
      let runs: RetainedRun[] = [];
      let nowMs = START;
      for (const [index, gapMs] of gaps.entries()) {
        nowMs += gapMs;
        if (nowMs > START + 5 * 365 * DAY_MS) break;
        const run: RetainedRun = { run: `r${index}`, receivedAtMs: nowMs, state: 'complete' };
        all.push(run);
        runs.push(run);
        const kept = keptOf(runs, STANDARD, nowMs);
        runs = runs.filter((candidate) => kept.has(candidate.run));
      }
      const left = new Set(runs.map((run) => run.run));
      for (const [length, count] of [
        [7, 12],
        [4, 4],
      ] as const) {
        const newest = new Map(all.map((run) => [name(run.receivedAtMs).slice(0, length), run.run]));
        for (const run of [...newest.values()].slice(-count)) ok(left.has(run), run);
      }
      for (const run of all.slice(-7)) ok(left.has(run.run), run.run);
      for (const run of all) if (nowMs - run.receivedAtMs < 14 * DAY_MS) ok(left.has(run.run), run.run);
    }),
    { numRuns: 30 },
  );
  t.pass('30 histories');
  t.end();
});

function name(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
