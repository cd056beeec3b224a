import type { RunName } from '@bakker/impl-format/storage';
import { PolicyError, mayGoNow, planRetention, removalOrder } from '@bakker/retention';
import type { RetainedRun, Verdict } from '@bakker/retention';
import { StorageError } from '../errors.ts';
import type { RetentionRules } from '../policy/account-policy.ts';
import type { FrozenAccount, StoredRun } from '../ports/account-keeper.ts';

export interface JudgeOptions {
  readonly rules: RetentionRules;
  readonly frozen: FrozenAccount | undefined;
  readonly nowMs: number;
}

/**
 * Which runs stay, by the storage's own dates. Pure.
 *
 * @param runs - oldest first
 * @returns newest first
 * @throws StorageError FAILED when the clock can't be right, CONFIG_INVALID
 */
export function judgeRuns(runs: readonly StoredRun[], { rules, frozen, nowMs }: JudgeOptions): Verdict[] {
  try {
    return planRetention(runs.map(asRetained), { ...rules, frozen: frozen && frozenText(frozen) }, nowMs);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const isClock = error.code === 'CLOCK_INVALID';
    throw new StorageError(isClock ? 'FAILED' : 'CONFIG_INVALID', `retention: ${error.message}`, {
      hint: isClock ? "set this machine's clock" : 'correct "retention" in .bakker/account.yaml',
      cause: error,
    });
  }
}

/** The runs that go, in an order in which their removal may end anywhere. */
export function goingRuns(
  verdicts: readonly Verdict[],
  runs: readonly StoredRun[],
  nowMs: number,
): RunName[] {
  return removalOrder(runs.map(asRetained), verdicts, nowMs).map(({ run }) => run);
}

/**
 * Whether a run that goes may do so now, though some before it in that order did not.
 *
 * @param left - the runs that are there still, oldest first
 */
export function mayFollow(
  run: RunName,
  { left, verdicts }: { readonly left: readonly StoredRun[]; readonly verdicts: readonly Verdict[] },
  { rules, nowMs }: Pick<JudgeOptions, 'rules' | 'nowMs'>,
): boolean {
  return mayGoNow(run, { left: left.map(asRetained), verdicts, policy: rules, nowMs });
}

export function frozenText({ reason, sinceRun }: FrozenAccount): string {
  return sinceRun === undefined ? reason : `${reason} (since run ${sinceRun})`;
}

function asRetained({
  run,
  receipt,
  folderChangedAtMs,
  hasManifest,
  isHurt,
}: StoredRun): RetainedRun & { readonly run: RunName } {
  return {
    run,
    // The server may have chosen any other date, in the receipt as in the tree; it can't choose a folder's ctime.
    receivedAtMs: receipt?.receivedAtMs ?? folderChangedAtMs,
    state: !hasManifest || isHurt ? 'damaged' : (receipt?.status ?? 'partial'),
  };
}
