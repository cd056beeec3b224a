import { PolicyError } from './errors.ts';
import { checkPolicy } from './policy.ts';
import type { RetentionPolicy } from './policy.ts';
import { dateRuns } from './run-dates.ts';
import type { RunDates } from './run-dates.ts';

const DAY_MS = 86_400_000;

/** A published run, as far as retention cares. */
export interface RetainedRun {
  readonly run: string;
  /** Unix milliseconds, by the storage's clock where there is one, else the best that is known. May be wrong. */
  readonly receivedAtMs: number;
  /** `partial`: published without files that could not be read. `damaged`: no use for restoring everything. */
  readonly state: 'complete' | 'partial' | 'damaged';
}

export interface Verdict {
  readonly run: string;
  readonly keep: boolean;
  /** Why it is kept, in words; empty when it is to be removed. */
  readonly reasons: readonly string[];
}

/**
 * Decides which runs to keep. Pure; days, months and years are UTC.
 *
 * @param runs - oldest first: this order is believed, dates are not; names unique
 * @param nowMs - Unix time in milliseconds
 * @returns one verdict per run, newest first
 * @throws PolicyError
 * @see docs/retention.md
 */
export function planRetention(
  runs: readonly RetainedRun[],
  policy: RetentionPolicy,
  nowMs: number,
): Verdict[] {
  checkPolicy(policy);
  checkRuns(runs);
  if (!(nowMs >= Date.UTC(2000, 0, 1))) {
    throw new PolicyError(
      'CLOCK_INVALID',
      `the clock says ${String(nowMs)} ms: nothing is removed by such a clock`,
    );
  }
  const dates = dateRuns(
    runs.map((run) => run.receivedAtMs),
    nowMs,
  );
  const reasons = runs.map(() => new Set<string>());
  keepYoung(reasons, dates, { policy, nowMs });
  keepNewest(reasons, runs, policy);
  keepPeriods(reasons, { runs, dates, count: policy.months, period: monthOf });
  keepPeriods(reasons, { runs, dates, count: policy.years, period: yearOf });
  keepLastGood(reasons, runs);
  keepWitnesses(reasons, dates);
  if (policy.frozen !== undefined)
    for (const set of reasons) set.add(`retention is frozen: ${policy.frozen}`);
  return runs
    .map(({ run }, index) => {
      const told = [...(reasons[index] ?? [])];
      return { run, keep: told.length > 0, reasons: told };
    })
    .reverse();
}

function checkRuns(runs: readonly RetainedRun[]): void {
  const names = new Set<string>();
  for (const { run } of runs) {
    if (names.has(run)) throw new PolicyError('RUNS_INVALID', `run ${run} is listed twice`);
    names.add(run);
  }
}

function keepYoung(
  reasons: readonly Set<string>[],
  dates: readonly RunDates[],
  { policy, nowMs }: { policy: RetentionPolicy; nowMs: number },
): void {
  // The date by order is never before the run's own.
  for (const [index, { orderMs }] of dates.entries()) {
    if (orderMs === undefined) {
      reasons[index]?.add(
        `younger than ${counted(policy.days, 'day')} (its date can't be true, so it counts as new)`,
      );
    } else if (nowMs - orderMs < policy.days * DAY_MS) {
      reasons[index]?.add(`younger than ${counted(policy.days, 'day')}`);
    }
  }
}

function keepNewest(
  reasons: readonly Set<string>[],
  runs: readonly RetainedRun[],
  { instances }: RetentionPolicy,
): void {
  let left = instances;
  for (let index = runs.length - 1; index >= 0 && left > 0; index--) {
    if (runs[index]?.state === 'damaged') continue;
    reasons[index]?.add(instances === 1 ? 'the newest' : `one of the newest ${instances}`);
    left--;
  }
}

/** The newest run of each of the newest `count` periods, once by each of the two dates. */
function keepPeriods(
  reasons: readonly Set<string>[],
  options: {
    runs: readonly RetainedRun[];
    dates: readonly RunDates[];
    count: number;
    period: (timeMs: number) => string;
  },
): void {
  const { runs, dates, count, period } = options;
  for (const clock of ['ownMs', 'orderMs'] as const) {
    const newest = new Map<string, number>();
    for (const [index, { state }] of runs.entries()) {
      const timeMs = dates[index]?.[clock];
      if (timeMs !== undefined && state !== 'damaged') newest.set(period(timeMs), index);
    }
    const periods = [...newest.keys()].sort().reverse();
    for (const name of periods.slice(0, count)) reasons[newest.get(name) ?? -1]?.add(`newest of ${name}`);
  }
}

function keepLastGood(reasons: readonly Set<string>[], runs: readonly RetainedRun[]): void {
  const complete = runs.findLastIndex((run) => run.state === 'complete');
  const usable = runs.findLastIndex((run) => run.state !== 'damaged');
  reasons[complete]?.add('last good run');
  if (usable > complete) reasons[usable]?.add(complete === -1 ? 'last good run' : 'newest run');
  if (usable !== -1) return;
  for (const set of reasons) set.add('there is no good run');
}

/** Without the run that dates it, a kept run could look older tomorrow than it does today. */
function keepWitnesses(reasons: readonly Set<string>[], dates: readonly RunDates[]): void {
  for (let index = dates.length - 1; index >= 0; index--) {
    if (reasons[index]?.size === 0) continue;
    for (const witness of dates[index]?.witnesses ?? []) {
      if (reasons[witness]?.size === 0) reasons[witness].add('another run is dated by it');
    }
  }
}

function monthOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 7);
}

function yearOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 4);
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
