import { parseRunName } from '@bakker/impl-format';
import t from 'tap';
import { checkLastRun } from '../../src/doctor/last-run-check.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import type { LastRuns } from '../../src/ports/state-folder.ts';

const NOW = Date.UTC(2024, 3, 19);
const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

function found(aheadMs: number, lastAttempt?: LastRuns['lastAttempt']): Finding | undefined {
  const run = parseRunName('2024_04_18_01');
  if (run === undefined) throw new Error('no run name');
  const finishedAtMs = NOW + aheadMs;
  const lastSuccess = { run, status: 'complete' as const, startedAtMs: finishedAtMs, finishedAtMs };
  const success = { startedAtMs: finishedAtMs, finishedAtMs, exitStatus: 0, message: 'complete' };
  const last: LastRuns = { lastSuccess, lastAttempt: lastAttempt ?? success, frozen: undefined };
  return checkLastRun(last, { config: undefined, clock: { nowMs: () => NOW } });
}

t.test('a last success in the future is warned of, and has no age', (t) => {
  t.match(found(YEAR_MS), { result: 'warn', detail: /dated 2025-04-19 .*in the future/ });
  t.notMatch(found(YEAR_MS)?.detail, / ago/);
  t.match(found(60_000), { result: 'ok', detail: /0 h ago/ }, 'clocks differ a little');
  t.match(found(-2 * HOUR_MS), { result: 'ok', detail: /2 h ago/ });
  t.end();
});

t.test('a failure after a success in the future is told', (t) => {
  const failure = { startedAtMs: NOW, finishedAtMs: NOW, exitStatus: 11, message: 'no way there' };
  t.match(found(YEAR_MS, failure), { result: 'warn', detail: /a later try failed: no way there/ });
  t.match(found(-HOUR_MS, failure), { result: 'warn', detail: /a later try failed: no way there/ });
  t.end();
});
