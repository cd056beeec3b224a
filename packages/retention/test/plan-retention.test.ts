import t from 'tap';
import { PolicyError } from '../src/errors.ts';
import { planRetention } from '../src/plan-retention.ts';
import type { RetainedRun, Verdict } from '../src/plan-retention.ts';
import type { RetentionPolicy } from '../src/policy.ts';

const DAY_MS = 86_400_000;
const STANDARD: RetentionPolicy = { days: 14, instances: 7, months: 12, years: 4 };
const NOW = Date.UTC(2024, 3, 19, 12);

const at = (date: string): number => Date.parse(`${date}T06:00:00Z`);
const run = (name: string, date: string | number, state: RetainedRun['state'] = 'complete'): RetainedRun => ({
  run: name,
  receivedAtMs: typeof date === 'number' ? date : at(date),
  state,
});
const kept = (verdicts: readonly Verdict[]): string[] =>
  verdicts.filter((verdict) => verdict.keep).map((verdict) => verdict.run);
const reasonsOf = (verdicts: readonly Verdict[], name: string): readonly string[] | undefined =>
  verdicts.find((verdict) => verdict.run === name)?.reasons;

t.test('the worked example of docs/retention.md', (t) => {
  const policy = { days: 3, instances: 2, months: 2, years: 2 };
  const runs = [
    run('2023_11_30_01', '2023-11-30'),
    run('2024_02_28_01', '2024-02-28'),
    run('2024_03_30_01', '2024-03-30'),
    run('2024_03_31_01', '2024-03-31'),
    run('2024_04_15_01', '2024-04-15'),
    run('2024_04_16_01', '2024-04-16', 'partial'),
    run('2024_04_17_01', '2024-04-17', 'damaged'),
    run('2024_04_19_01', '2024-04-19'),
  ];
  t.strictSame(planRetention(runs, policy, NOW), [
    {
      run: '2024_04_19_01',
      keep: true,
      reasons: [
        'younger than 3 days',
        'one of the newest 2',
        'newest of 2024-04',
        'newest of 2024',
        'last good run',
      ],
    },
    { run: '2024_04_17_01', keep: true, reasons: ['younger than 3 days'] },
    { run: '2024_04_16_01', keep: true, reasons: ['one of the newest 2'] },
    { run: '2024_04_15_01', keep: false, reasons: [] },
    { run: '2024_03_31_01', keep: true, reasons: ['newest of 2024-03'] },
    { run: '2024_03_30_01', keep: false, reasons: [] },
    { run: '2024_02_28_01', keep: false, reasons: [] },
    { run: '2023_11_30_01', keep: true, reasons: ['newest of 2023'] },
  ]);
  t.end();
});

t.test('an age of exactly the days is no longer young', (t) => {
  const runs = [run('a', NOW - 14 * DAY_MS), run('b', NOW - 14 * DAY_MS + 1), run('c', NOW)];
  const verdicts = planRetention(runs, { days: 14, instances: 1, months: 0, years: 0 }, NOW);
  t.strictSame(kept(verdicts), ['c', 'b']);
  t.end();
});

t.test(
  'the newest usable run stays whatever the policy keeps, and a policy of ones is told in the singular',
  (t) => {
    const runs = [
      run('old', '2024-01-01'),
      run('whole', '2024-02-01'),
      run('part', '2024-03-01', 'partial'),
      run('bad', '2024-03-02', 'damaged'),
    ];
    const none = planRetention(runs, { days: 1, instances: 0, months: 0, years: 0 }, NOW);
    t.strictSame(kept(none), ['part', 'whole']);
    t.strictSame(reasonsOf(none, 'part'), ['newest run']);
    const parts = planRetention(runs.slice(2), { days: 1, instances: 0, months: 0, years: 0 }, NOW);
    t.strictSame(reasonsOf(parts, 'part'), ['last good run']);
    const ones = planRetention([run('new', NOW)], { days: 1, instances: 1, months: 0, years: 0 }, NOW);
    t.strictSame(reasonsOf(ones, 'new'), ['younger than 1 day', 'the newest', 'last good run']);
    t.end();
  },
);

t.test('a frozen retention removes nothing and says why', (t) => {
  const runs = [run('a', '2001-01-01'), run('b', '2001-01-02'), run('c', '2001-01-03')];
  const policy = { days: 0, instances: 1, months: 0, years: 0, frozen: 'the source shrank' };
  const verdicts = planRetention(runs, policy, NOW);
  t.strictSame(kept(verdicts), ['c', 'b', 'a']);
  t.strictSame(reasonsOf(verdicts, 'a'), ['retention is frozen: the source shrank']);
  t.end();
});

t.test('the last complete run stays behind any number of later partial ones', (t) => {
  const partials = Array.from({ length: 300 }, (_, index) =>
    run(`p${index}`, NOW - (400 - index) * DAY_MS, 'partial'),
  );
  const runs = [run('old', NOW - 900 * DAY_MS), run('good', NOW - 800 * DAY_MS), ...partials];
  const verdicts = planRetention(runs, { days: 1, instances: 1, months: 0, years: 0 }, NOW);
  t.strictSame(kept(verdicts), ['p299', 'good']);
  t.strictSame(reasonsOf(verdicts, 'good'), ['last good run']);
  t.end();
});

t.test('a damaged run takes no place of a good one, and goes when it is old', (t) => {
  const runs = [
    run('good-1', '2024-02-10'),
    run('bad-1', '2024-02-11', 'damaged'),
    run('good-2', '2024-04-10'),
    run('bad-2', '2024-04-18', 'damaged'),
  ];
  const verdicts = planRetention(runs, { days: 2, instances: 1, months: 12, years: 0 }, NOW);
  t.strictSame(kept(verdicts), ['bad-2', 'good-2', 'good-1']);
  t.strictSame(reasonsOf(verdicts, 'bad-2'), ['younger than 2 days']);
  t.end();
});

t.test('nothing is removed while no run is good', (t) => {
  const runs = [run('a', '2010-01-01', 'damaged'), run('b', '2010-01-02', 'damaged')];
  t.strictSame(kept(planRetention(runs, STANDARD, NOW)), ['b', 'a']);
  t.end();
});

t.test('dates in the future count as now, and make no other run older or younger', (t) => {
  const daily = Array.from({ length: 60 }, (_, index) => run(`d${index}`, NOW - (60 - index) * DAY_MS));
  const skewed = [...daily.slice(0, 20), run('skewed', '2037-01-01'), ...daily.slice(20)];
  const verdicts = planRetention(skewed, STANDARD, NOW);
  t.strictSame(
    kept(verdicts).filter((name) => name !== 'skewed'),
    kept(planRetention(daily, STANDARD, NOW)),
  );
  t.match(reasonsOf(verdicts, 'skewed'), [/counts as new/]);
  t.end();
});

t.test('when a false date becomes possible, the months of the runs after it do not fall into one', (t) => {
  const months = Array.from({ length: 11 }, (_, index) =>
    run(`m${index + 2}`, Date.UTC(2023, index + 1, 15)),
  );
  const runs = [run('m1', Date.UTC(2023, 0, 15)), run('skewed', Date.UTC(2024, 3, 1)), ...months];
  const verdicts = planRetention(runs, { days: 1, instances: 1, months: 14, years: 0 }, NOW);
  for (let month = 1; month <= 12; month++) t.ok(kept(verdicts).includes(`m${month}`), `month ${month}`);
  t.end();
});

t.test('runs of a machine that always starts in 1970 do not age out', (t) => {
  const runs = Array.from({ length: 30 }, (_, index) => run(`r${index}`, index * 1000));
  t.equal(kept(planRetention(runs, STANDARD, NOW)).length, 30);
  t.end();
});

t.test('a run without a date is as old as the next one that has one', (t) => {
  const runs = [
    run('undated', NaN),
    run('dated', '2024-01-05'),
    run('later', '2024-01-06'),
    run('new', '2024-04-19'),
  ];
  const verdicts = planRetention(runs, { days: 14, instances: 1, months: 0, years: 0 }, NOW);
  t.strictSame(kept(verdicts), ['new']);
  t.end();
});

t.test('runs that a clock dates back are as young as the run before them', (t) => {
  const runs = [
    run('before', '2024-04-15'),
    run('back', '2020-05-01'),
    run('back-2', '2020-05-02'),
    run('after', '2024-04-18'),
  ];
  const verdicts = planRetention(runs, { days: 14, instances: 1, months: 0, years: 0 }, NOW);
  t.strictSame(kept(verdicts), ['after', 'back-2', 'back', 'before']);
  t.end();
});

t.test(
  'a server that dates new runs into old months does not push out the good runs of those months',
  (t) => {
    const good = Array.from({ length: 12 }, (_, index) => run(`g${index + 1}`, Date.UTC(2023, index, 20)));
    const hostile = Array.from({ length: 200 }, (_, index) =>
      run(`h${index}`, Date.UTC(2023, index % 12, 28)),
    );
    const names = kept(
      planRetention([...good, ...hostile], { ...STANDARD, days: 1 }, Date.UTC(2023, 11, 30)),
    );
    for (const { run: name } of good.slice(0, 11)) t.ok(names.includes(name), name);
    t.end();
  },
);

t.test('a senseless policy, list or clock is refused', (t) => {
  const refused: readonly (readonly [() => unknown, PolicyError['code'], RegExp])[] = [
    [() => planRetention([], { ...STANDARD, days: -1 }, NOW), 'POLICY_INVALID', /days/],
    [() => planRetention([], { ...STANDARD, instances: 1.5 }, NOW), 'POLICY_INVALID', /instances/],
    [() => planRetention([], { ...STANDARD, months: NaN }, NOW), 'POLICY_INVALID', /months/],
    [() => planRetention([], { ...STANDARD, days: 1_000_001 }, NOW), 'POLICY_INVALID', /to 1000000/],
    [() => planRetention([], { ...STANDARD, years: Infinity }, NOW), 'POLICY_INVALID', /years/],
    [() => planRetention([], { days: 0, instances: 0, months: 0, years: 0 }, NOW), 'POLICY_EMPTY', /nothing/],
    [() => planRetention([run('a', 1), run('a', 2)], STANDARD, NOW), 'RUNS_INVALID', /a is listed twice/],
    [() => planRetention([], STANDARD, 0), 'CLOCK_INVALID', /clock/],
    [() => planRetention([], STANDARD, Date.UTC(2000, 0, 1) - 1), 'CLOCK_INVALID', /clock/],
    [() => planRetention([], STANDARD, NaN), 'CLOCK_INVALID', /clock/],
  ];
  for (const [attempt, code, message] of refused) {
    try {
      attempt();
      t.fail(`${code} was not thrown`);
    } catch (error) {
      t.ok(error instanceof PolicyError && error.code === code, code);
      t.match(String(error), message);
    }
  }
  t.strictSame(planRetention([], { ...STANDARD, days: 1_000_000 }, Date.UTC(2000, 0, 1)), []);
  t.end();
});
