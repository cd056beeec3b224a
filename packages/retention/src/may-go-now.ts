import { planRetention } from './plan-retention.ts';
import type { RetainedRun, Verdict } from './plan-retention.ts';
import type { RetentionPolicy } from './policy.ts';

/**
 * Whether the next plan would keep all that this one keeps, if `run` goes now. In the order of `removalOrder` it would; but where a
 * run before it was passed over, because somebody reads from it or it can't be removed, that one may have taken its date from this
 * one, and take the place of a run that was to stay. Pure.
 *
 * @param run - one that goes
 * @param options.left - the runs that are there still, oldest first
 * @param options.verdicts - of the plan that said what goes
 * @throws PolicyError
 */
export function mayGoNow(
  run: string,
  options: {
    readonly left: readonly RetainedRun[];
    readonly verdicts: readonly Verdict[];
    readonly policy: RetentionPolicy;
    readonly nowMs: number;
  },
): boolean {
  const { left, verdicts, policy, nowMs } = options;
  const without = left.filter((other) => other.run !== run);
  const keptThen = new Set(
    planRetention(without, policy, nowMs)
      .filter(({ keep }) => keep)
      .map((kept) => kept.run),
  );
  return verdicts.every(({ run: other, keep }) => !keep || keptThen.has(other));
}
