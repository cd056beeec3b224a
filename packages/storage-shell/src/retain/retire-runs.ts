import { compareRunNames } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import type { Verdict } from '@bakker/retention';
import { StorageError } from '../errors.ts';
import type { AccountPolicy } from '../policy/account-policy.ts';
import { reserveBytesOf } from '../policy/reserve.ts';
import type { AccountKeeper, RemovalOutcome, StoredRun } from '../ports/account-keeper.ts';
import { frozenText, goingRuns, judgeRuns, mayFollow } from './judge-runs.ts';
import { isDue } from './trash-names.ts';

export interface RetireOptions {
  readonly nowMs: number;
  /** Plan only. */
  readonly dryRun: boolean;
  /** Delete what is in the trash now, however short a time it was there. */
  readonly emptyTrash?: boolean;
  readonly signal: AbortSignal;
}

/** What was done, or would be. */
export interface Retirement {
  /** Newest first. */
  readonly verdicts: readonly Verdict[];
  /** In the trash now; with `dryRun`, what would be. These lists are oldest first. */
  readonly removed: readonly RunName[];
  /** Left for the next time: a session reads from them. */
  readonly inUse: readonly RunName[];
  /** Deleted for good; with `dryRun`, what `emptyTrash` would delete. */
  readonly deleted: readonly RunName[];
  /** Why retention stands still. */
  readonly frozen: string | undefined;
}

/**
 * Takes the runs away that the account's policy does not keep, and deletes those whose time in the trash
 * is over, or whose space is needed. Cut off anywhere, the next call goes on.
 *
 * @throws StorageError CONFIG_INVALID, FULL, FAILED when the clock can't be right
 * @see docs/retention.md
 */
export async function retireRuns(keeper: AccountKeeper, options: RetireOptions): Promise<Retirement> {
  const { nowMs, dryRun, signal } = options;
  const policy = keeper.policy();
  const frozen = keeper.frozen();
  const runs = keeper.runs();
  const verdicts = judgeRuns(runs, { rules: policy.retention, frozen, nowMs });
  const going = goingRuns(verdicts, runs, nowMs);
  const told = { verdicts, frozen: frozen && frozenText(frozen) };
  if (dryRun)
    return {
      ...told,
      removed: oldestFirst(going),
      inUse: [],
      deleted: wouldBeDeleted(keeper, { options, going }),
    };
  await keeper.mend();
  const deleted: RunName[] = [];
  const removed: RunName[] = [];
  const inUse: RunName[] = [];
  const failures = new Failures(signal);
  let left: readonly StoredRun[] = runs;
  /** Whether a run that goes is there still: behind it, the order alone keeps nothing safe. */
  let isOneLeft = false;
  for (const run of going) {
    if (isOneLeft && !mayFollow(run, { left, verdicts }, { rules: policy.retention, nowMs })) continue;
    const outcome = await failures.collect(() => removeMakingRoom(keeper, run, { ...options, deleted }));
    if (outcome === 'frozen') break;
    if (outcome === 'removed') removed.push(run);
    if (outcome === 'in-use') inUse.push(run);
    if (outcome === 'in-use' || outcome === undefined) isOneLeft = true;
    else left = left.filter((other) => other.run !== run);
  }
  await failures.collect(() => keeper.deleteGivenUp(signal));
  await emptyTrash(keeper, { ...options, policy, deleted, failures });
  failures.throwFirst();
  return { ...told, removed: oldestFirst(removed), inUse: oldestFirst(inUse), deleted: oldestFirst(deleted) };
}

/** One run that can't go, as one with an immutable file, does not keep the space of all others. */
class Failures {
  readonly #signal: AbortSignal;
  readonly #errors: unknown[] = [];

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Undefined if it failed. @throws the signal's reason */
  async collect<Value>(work: () => Promise<Value>): Promise<Value | undefined> {
    this.#signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#errors.push(error);
      return undefined;
    }
  }

  throwFirst(): void {
    if (this.#errors.length > 0) throw this.#errors[0];
  }
}

function oldestFirst(runs: readonly RunName[]): RunName[] {
  return runs.toSorted(compareRunNames);
}

function wouldBeDeleted(
  keeper: AccountKeeper,
  { options, going }: { options: RetireOptions; going: readonly RunName[] },
): RunName[] {
  if (options.emptyTrash !== true || keeper.frozen() !== undefined) return [];
  return [...keeper.trash().map(({ run }) => run), ...oldestFirst(going)];
}

/** On a volume where not even a name finds room, what is in the trash makes it. */
async function removeMakingRoom(
  keeper: AccountKeeper,
  run: RunName,
  { nowMs, signal, deleted }: RetireOptions & { deleted: RunName[] },
): Promise<RemovalOutcome> {
  for (;;) {
    try {
      return await keeper.remove(run, nowMs);
    } catch (error) {
      const oldest = keeper.trash()[0];
      if (!(error instanceof StorageError && error.code === 'FULL') || oldest === undefined) throw error;
      if ((await keeper.deleteTrashed(oldest.name, signal)) === 'frozen') return 'frozen';
      deleted.push(oldest.run);
    }
  }
}

async function emptyTrash(
  keeper: AccountKeeper,
  options: RetireOptions & { policy: AccountPolicy; deleted: RunName[]; failures: Failures },
): Promise<void> {
  const { nowMs, signal, policy, deleted, failures } = options;
  const { keepHours } = policy.trash;
  for (const entry of keeper.trash()) {
    const mustGo = options.emptyTrash === true || !entry.isWhole || isDue(entry, { nowMs, keepHours });
    if (!mustGo && !isShortOfSpace(keeper, policy)) continue;
    const outcome = await failures.collect(() => keeper.deleteTrashed(entry.name, signal));
    if (outcome === 'frozen') return;
    if (outcome === 'deleted') deleted.push(entry.run);
  }
}

function isShortOfSpace(keeper: AccountKeeper, { space }: AccountPolicy): boolean {
  const { totalBytes, freeBytes } = keeper.space();
  if (freeBytes < reserveBytesOf(space, totalBytes)) return true;
  const usedBytes = keeper.usedBytes();
  if (space.limitBytes === undefined || usedBytes === undefined) return false;
  // Up to the ceiling the server may have been granted more.
  return usedBytes > Math.max(space.limitBytes, space.ceilingBytes ?? 0);
}
