import { parseRunName } from '@bakker/impl-format';
import t from 'tap';
import { judge } from '../../src/cli/status.ts';
import type { LastRuns } from '../../src/ports/state-folder.ts';

const NOW = Date.UTC(2024, 3, 19);
const HOUR_MS = 3_600_000;

function successAt(finishedAtMs: number): LastRuns {
  const run = parseRunName('2024_04_18_01');
  if (run === undefined) throw new Error('no run name');
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

t.test('no success at all is told apart', (t) => {
  const none: LastRuns = { lastSuccess: undefined, lastAttempt: undefined, frozen: undefined };
  t.equal(judge(none, HOUR_MS, NOW).health, 'never');
  t.end();
});
