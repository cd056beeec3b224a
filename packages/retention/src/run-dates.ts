/** No backup of this kind is older: a date before it comes from a machine without a clock. */
const EARLIEST_MS = Date.UTC(2000, 0, 1);

/** The dates that one run is judged by. */
export interface RunDates {
  /**
   * What the run says of itself; for a run that has no date, that of the next later run that has one. Undefined when
   * the run is dated in the future, or has no date and no dated run after it: it counts as received now.
   */
  readonly ownMs: number | undefined;
  /** The latest that any run up to this one says. */
  readonly orderMs: number | undefined;
  /** The runs (by index) that the dates were taken from; they have to stay for the dates to stay. */
  readonly witnesses: readonly number[];
}

/**
 * Dates each run twice, since any single date may be wrong or a lie (docs/retention.md): once by what it says, once by
 * what its place in the order of runs allows.
 *
 * @param receivedAtMs - oldest run first
 */
export function dateRuns(receivedAtMs: readonly number[], nowMs: number): RunDates[] {
  const own = receivedAtMs.map((ms) => (isDated(ms, nowMs) ? ms : undefined));
  const sources: (number | undefined)[] = [];
  let nextDated: number | undefined;
  for (let index = own.length - 1; index >= 0; index--) {
    if (own[index] !== undefined) nextDated = index;
    const isInFuture = (receivedAtMs[index] ?? NaN) > nowMs;
    sources[index] = isInFuture ? undefined : nextDated;
  }
  let latest: number | undefined;
  let latestMs = -Infinity;
  return own.map((_, index) => {
    const source = sources[index];
    const ownMs = source === undefined ? undefined : own[source];
    if (source === undefined || ownMs === undefined)
      return { ownMs: undefined, orderMs: undefined, witnesses: [] };
    if (ownMs >= latestMs) {
      latest = source;
      latestMs = ownMs;
    }
    return { ownMs, orderMs: latestMs, witnesses: latest === undefined ? [source] : [source, latest] };
  });
}

/** Whether a date may be true. */
export function isDated(receivedAtMs: number, nowMs: number): boolean {
  return receivedAtMs >= EARLIEST_MS && receivedAtMs <= nowMs;
}
