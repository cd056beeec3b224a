import { formatDate } from '@bakker/command-line';
import type { Config } from '../config/config.ts';
import type { Clock } from '../ports/clock.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import { ok, warn, type Finding } from './finding.ts';

const HOUR_MS = 3_600_000;
/** A date that is further ahead says nothing of the run's age. */
const CLOCK_ERROR_MS = HOUR_MS;

/** Old is what has missed two turns; a day each unless the configuration says longer. */
export function checkLastRun(
  { lastSuccess, lastAttempt }: LastRuns,
  { config, clock }: { config: Config | undefined; clock: Clock },
): Finding {
  if (lastSuccess === undefined) {
    const tried =
      lastAttempt === undefined ? 'none yet' : `none complete; the last try: ${lastAttempt.message}`;
    return warn('last run', tried, 'run bakker backup');
  }
  const ageMs = clock.nowMs() - lastSuccess.finishedAtMs;
  const limitMs = 2 * Math.max(config?.minIntervalMs ?? 0, 24 * HOUR_MS);
  const isAhead = ageMs < -CLOCK_ERROR_MS;
  const detail = isAhead
    ? `${lastSuccess.run}, dated ${formatDate(lastSuccess.finishedAtMs)}, which is in the future`
    : `${lastSuccess.run}, ${Math.max(0, Math.round(ageMs / HOUR_MS))} h ago`;
  if (ageMs > limitMs) return warn('last run', detail, 'look at the timer, and run bakker backup');
  // A success is the last attempt, too, until there is another. Which is later is not asked: clocks are set back.
  if (
    lastAttempt !== undefined &&
    lastAttempt.finishedAtMs !== lastSuccess.finishedAtMs &&
    lastAttempt.exitStatus !== 0
  ) {
    return warn(
      'last run',
      `${detail}; a later try failed: ${lastAttempt.message}`,
      'run bakker backup to see why',
    );
  }
  if (isAhead) {
    return warn(
      'last run',
      detail,
      "the clock was wrong then, or is now: let it keep time by NTP; the next run's date is right again",
    );
  }
  if (lastSuccess.status === 'partial') {
    return warn('last run', `${detail}, partial`, 'some files could not be read: see its messages');
  }
  return ok('last run', detail);
}

/** @param frozen - as it is known now, see `frozenNow` */
export function checkFrozen(frozen: LastRuns['frozen']): Finding[] {
  if (frozen === undefined) return [];
  return [
    warn(
      'retention',
      `stands still since ${frozen.sinceRun}: ${frozen.reason}`,
      frozen.isAtStorage === true
        ? "look at that run; the storage's administrator thaws the account: bakker-storage thaw NAME"
        : 'look at that run; bakker retention --thaw goes on',
    ),
  ];
}
