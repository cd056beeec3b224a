import { parseRunName, type RunName } from '@bakker/impl-format';
import t from 'tap';
import { judge, status, storageStatus } from '../../src/cli/status.ts';
import type { LastRuns } from '../../src/ports/state-folder.ts';

const NOW = Date.UTC(2024, 3, 19);
const HOUR_MS = 3_600_000;

function runNamed(name: string): RunName {
  const run = parseRunName(name);
  if (run === undefined) throw new Error('no run name');
  return run;
}

function successAt(finishedAtMs: number): LastRuns {
  const run = runNamed('2024_04_18_01');
  const lastSuccess = { run, status: 'complete' as const, startedAtMs: finishedAtMs, finishedAtMs };
  return { lastSuccess, lastAttempt: undefined, frozen: undefined };
}

t.test('a last success is fine up to the age that was asked for', (t) => {
  const health = (ageMs: number): string => judge(successAt(NOW - ageMs), 48 * HOUR_MS, NOW).health;
  t.equal(health(0), 'ok');
  t.equal(health(48 * HOUR_MS), 'ok');
  t.equal(health(48 * HOUR_MS + 1), 'late');
  t.end();
});

t.test('a success far in the future is no reason to be calm', (t) => {
  const health = (aheadMs: number): string => judge(successAt(NOW + aheadMs), 48 * HOUR_MS, NOW).health;
  t.equal(health(HOUR_MS), 'ok', 'clocks differ a little');
  t.equal(health(49 * HOUR_MS), 'late');
  t.end();
});

t.test('a success far in the future has no age', (t) => {
  t.equal(judge(successAt(NOW + 49 * HOUR_MS), 48 * HOUR_MS, NOW).ageMs, undefined);
  t.equal(judge(successAt(NOW + HOUR_MS), 48 * HOUR_MS, NOW).ageMs, 0);
  t.end();
});

t.test('a storage that lacks the last run is not well, whatever it says of the others', async (t) => {
  const address = 'web1@storage';
  const last = { ...successAt(NOW), address };
  const exit = async (names: readonly string[], remembered: LastRuns = last): Promise<unknown> => {
    const verdicts = names.map((name) => ({
      run: runNamed(name),
      hurtFiles: 0,
      isManifestHurt: false,
      keeps: true,
      reasons: [],
      figures: null,
    }));
    const side = { verdicts: async () => verdicts, frozen: undefined };
    const storage = await storageStatus({ address, side, listRuns: async () => [] }, remembered);
    const told = { ...judge(remembered, HOUR_MS, NOW), storage };
    const lines: string[] = [];
    status.render(told, {
      line: (text) => lines.push(text),
      lines: (texts) => lines.push(...texts),
      name: String,
      typedHere: String,
    });
    return [
      status.exitStatus?.(told),
      lines.some((line) => line.startsWith('Run 2024_04_18_01 is not there')),
    ];
  };
  t.same(await exit(['2024_04_17_01', '2024_04_18_01']), [0, false]);
  t.same(await exit(['2024_04_19_01']), [0, false], 'a later run');
  t.same(await exit(['2024_04_17_01']), [1, true], 'it was put back');
  t.same(await exit([]), [1, true], 'it has nothing at all');
  const elsewhere = { ...last, address: 'web1@other' };
  t.same(await exit(['2024_04_17_01'], elsewhere), [0, false], 'the last success went elsewhere');
  t.same(await exit([], elsewhere), [1, true], 'but nothing at all is never well');
});

t.test('a storage that looks for no damage is asked for its runs all the same', async (t) => {
  const address = '/mnt/backup';
  const last = { ...successAt(NOW), address };
  const told = async (states: readonly ('complete' | 'incomplete')[]) => {
    const runs = states.map((state, index) => ({
      run: runNamed(`2024_04_18_0${index + 1}`),
      state,
      manifestSizeBytes: undefined,
    }));
    const storage = await storageStatus({ address, listRuns: async () => runs }, last);
    const whole = { ...judge(last, HOUR_MS, NOW), storage };
    const lines: string[] = [];
    status.render(whole, {
      line: (text) => lines.push(text),
      lines: (texts) => lines.push(...texts),
      name: String,
      typedHere: String,
    });
    return { status: status.exitStatus?.(whole), text: lines.join(' '), json: status.json(whole) };
  };
  t.match(await told(['complete', 'incomplete']), {
    status: 0,
    text: /1 complete run\. It does not look for damage in them: bakker verify --data does\.$/,
    json: { storage: { runs: 1, damagedFiles: null, damagedRuns: { length: 0 }, missingRun: null } },
  });
  t.match(await told(['incomplete']), { status: 1, json: { storage: { missingRun: '2024_04_18_01' } } });
});

t.test('no success at all is told apart', (t) => {
  const none: LastRuns = { lastSuccess: undefined, lastAttempt: undefined, frozen: undefined };
  t.equal(judge(none, HOUR_MS, NOW).health, 'never');
  t.end();
});
