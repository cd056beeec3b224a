import fc from 'fast-check';
import t from 'tap';
import { compareRunNames, nextRunName, parseRunName, runDateMs, type RunName } from '../src/index.ts';

const DAY_MS = 86_400_000;

t.test('takes real dates and numbers in their one form', async (t) => {
  for (const text of [
    '2024_04_18_01',
    '2024_02_29_99',
    '2024_04_18_100',
    '0001_01_01_01',
    '9999_12_31_999999999',
  ]) {
    t.equal(parseRunName(text), text);
  }
});

t.test('refuses everything else', async (t) => {
  const wrong = [
    '',
    '2024_04_18',
    '2024_04_18_00',
    '2024_04_18_1',
    '2024_04_18_001',
    '2024_04_18_099',
    '2024_04_18_0100',
    '2024_04_18_1000000000',
    '2023_02_29_01',
    '2024_13_01_01',
    '2024_00_10_01',
    '2024_04_31_01',
    '2024_04_00_01',
    '0000_01_01_01',
    '2024-04-18_01',
    ' 2024_04_18_01',
    '2024_04_18_01\n',
    '2024_04_18_01.impl',
    '٢٠٢٤_04_18_01',
    '2024_04_18_1e',
  ];
  for (const text of wrong) t.equal(parseRunName(text), undefined, JSON.stringify(text));
});

t.test('orders by date, then by number', async (t) => {
  const inOrder = [
    '0099_01_01_01',
    '2024_04_18_02',
    '2024_04_18_99',
    '2024_04_18_100',
    '2024_04_18_1000',
    '2024_04_19_01',
  ];
  t.strictSame([...inOrder].reverse().map(run).sort(compareRunNames), inOrder);
  t.equal(compareRunNames(run('2024_04_18_02'), run('2024_04_18_02')), 0);
});

t.test('gives the midnight of the date', async (t) => {
  t.equal(runDateMs(run('2024_04_18_07')), Date.UTC(2024, 3, 18));
  t.equal(new Date(runDateMs(run('0050_03_01_01'))).toISOString(), '0050-03-01T00:00:00.000Z');
});

t.test('the next name is today, in UTC, or follows the newest', async (t) => {
  const nowMs = Date.UTC(2024, 3, 18, 23, 59, 59, 999);
  t.equal(nextRunName([], nowMs), '2024_04_18_01');
  t.equal(nextRunName([], nowMs + 1), '2024_04_19_01');
  t.equal(nextRunName([run('2024_04_17_40')], nowMs), '2024_04_18_01');
  t.equal(
    nextRunName([run('2024_04_18_09'), run('2024_04_18_10'), run('2024_04_02_77')], nowMs),
    '2024_04_18_11',
  );
  t.equal(nextRunName([run('2024_04_18_99')], nowMs), '2024_04_18_100');
  t.equal(nextRunName([run('2031_01_01_05')], nowMs), '2031_01_01_06', 'a clock that went back');
});

t.test('no name is made up where none is left', async (t) => {
  t.throws(() => nextRunName([], Number.NaN), RangeError);
  t.throws(() => nextRunName([], Date.UTC(10_000, 0, 1)), RangeError);
  t.equal(nextRunName([run('9999_12_31_999999998')], 0), '9999_12_31_999999999');
  t.throws(() => nextRunName([run('9999_12_31_999999999')], 0), {
    message: 'no run name is left on 9999_12_31',
  });
});

t.test('whatever the clock says, names rise, and stay names', async () => {
  const hostileClock = fc.array(fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(9999, 11, 31) }), {
    maxLength: 150,
  });
  const slowClock = fc.array(fc.nat(3 * DAY_MS), { minLength: 100, maxLength: 300 });
  fc.assert(
    fc.property(fc.oneof(hostileClock, slowClock), (times) => {
      const runs: RunName[] = [];
      for (const nowMs of times) {
        const next = nextRunName(runs, nowMs);
        if (parseRunName(next) !== next) return false;
        if (runs.some((earlier) => compareRunNames(earlier, next) >= 0)) return false;
        if (runDateMs(next) < Math.floor(nowMs / DAY_MS) * DAY_MS) return false;
        runs.unshift(next);
      }
      return true;
    }),
    { numRuns: 60 },
  );
});

function run(text: string): RunName {
  const name = parseRunName(text);
  if (name === undefined) throw new Error(`${text} is a run name`);
  return name;
}
