import type { RetainedRun, Verdict } from './plan-retention.ts';
import { isDated } from './run-dates.ts';

/**
 * The runs that go, in an order in which their removal may end anywhere: what stays then is kept by the next plan, too. A run that
 * another one has its date from goes after it, though both go: runs without a date first, and the newest of each kind first. Pure.
 *
 * @param runs - oldest first, as they were planned
 * @param nowMs - of that plan
 */
export function removalOrder<Run extends RetainedRun>(
  runs: readonly Run[],
  verdicts: readonly Verdict[],
  nowMs: number,
): Run[] {
  const kept = new Set(verdicts.filter(({ keep }) => keep).map(({ run }) => run));
  const going = runs.filter(({ run }) => !kept.has(run)).reverse();
  const isOfItself = ({ receivedAtMs }: RetainedRun): boolean => isDated(receivedAtMs, nowMs);
  return [...going.filter((run) => !isOfItself(run)), ...going.filter(isOfItself)];
}
