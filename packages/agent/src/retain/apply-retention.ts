import { runDateMs } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { planRetention, PolicyError, removalOrder } from '@bakker/retention';
import type { RetainedRun, Verdict } from '@bakker/retention';
import type { RetentionSettings } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Progress } from '../ports/progress.ts';
import type { ReadingLock } from '../ports/reading-lock.ts';
import type { LastRuns, StateFolder } from '../ports/state-folder.ts';
import type { Receipt, StorageAccount } from '../ports/storage-account.ts';
import { sleep } from '../reconnecting.ts';
import { DOOR_OPEN_MS } from './hold-runs.ts';
import { markedFreeze, readPublishedRuns, unheardOf } from './published-runs.ts';
import type { PublishedRun } from './published-runs.ts';

const DAY_MS = 86_400_000;

export interface RetentionOptions {
  readonly policy: RetentionSettings;
  /** Plan only. */
  readonly dryRun: boolean;
  /** A person has looked at why retention stood still: it goes on. */
  readonly thaw: boolean;
}

export interface RetentionPorts {
  readonly account: StorageAccount;
  readonly state: StateFolder;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly readingLock: ReadingLock;
}

export interface RetentionOutcome {
  /** Newest first. */
  readonly verdicts: readonly Verdict[];
  /** Why nothing was removed. */
  readonly frozen: string | undefined;
  /** The storage retires runs by its own rules; the verdicts only say what it has. */
  readonly isStorages: boolean;
  /** A restore or verify was under way: what should have gone stays until the next time, and the verdicts say so. */
  readonly isHeld: boolean;
}

/**
 * Removes the runs that the policy does not keep. A run is removed whole or not at all; cut off, the next call goes on.
 *
 * Where the storage retires runs itself, nothing is removed: the outcome says what is there.
 *
 * @throws AgentError LOCKED while a backup is under way, RUN_FAILED when the clock can't be right
 * @see docs/retention.md
 */
export async function applyRetention(
  options: RetentionOptions,
  ports: RetentionPorts,
): Promise<RetentionOutcome> {
  if (ports.account.side) return lookAtStorage(options, ports);
  if (options.dryRun) return (await plan(options, ports)).outcome;
  using _lock = await ports.state.lock('retention');
  const { outcome, going, runs } = await plan(options, ports);
  if (options.thaw) await thaw(ports.state, runs.at(-1)?.run);
  const held = await removeRuns(going, ports);
  if (held.size === 0) return outcome;
  const verdicts = outcome.verdicts.map((verdict) =>
    held.has(verdict.run)
      ? { ...verdict, keep: true, reasons: ['a restore or verify is under way'] }
      : verdict,
  );
  return { ...outcome, verdicts, isHeld: true };
}

async function lookAtStorage(
  { thaw }: RetentionOptions,
  { account, signal }: RetentionPorts,
): Promise<RetentionOutcome> {
  if (thaw) {
    throw new AgentError('STORAGE_REFUSED', 'the storage retires runs itself, and only there it can go on', {
      hint: "ask the storage's administrator to look at the run and to thaw the account",
    });
  }
  const judged = await account.side?.verdicts();
  const verdicts =
    judged?.toReversed().map(({ run, keeps, reasons }) => ({
      run,
      keep: keeps !== false,
      reasons: keeps === null ? ['the storage can not say yet'] : reasons,
    })) ?? (await withoutVerdicts(account, signal));
  const frozen = account.side?.frozen;
  return {
    verdicts,
    frozen: frozen && `${frozen.reason} (since run ${frozen.sinceRun})`,
    isStorages: true,
    isHeld: false,
  };
}

/** A storage of before it said what it thinks. */
async function withoutVerdicts(account: StorageAccount, signal: AbortSignal): Promise<Verdict[]> {
  const runs = await readPublishedRuns(account, { signal });
  return runs.toReversed().map(({ run, receipt, isDamaged }) => ({
    run,
    keep: true,
    reasons: [isDamaged ? 'damaged' : (receipt?.status ?? 'without a receipt')],
  }));
}

interface Plan {
  readonly outcome: RetentionOutcome;
  /** What goes, in the order of its removal. */
  readonly going: readonly RunName[];
  readonly runs: readonly PublishedRun[];
}

async function plan(
  { policy, thaw }: RetentionOptions,
  { account, state, clock, progress, signal }: RetentionPorts,
): Promise<Plan> {
  progress.stage(`looking at the runs of ${account.address}`);
  const runs = await readPublishedRuns(account, { signal });
  const frozen = thaw ? undefined : whyFrozen(await state.lastRuns(), runs);
  const nowMs = clock.nowMs();
  const retained = runs.map(asRetained);
  const verdicts = judge(retained, { ...policy, frozen }, nowMs);
  const going = removalOrder(retained, verdicts, nowMs).map(({ run }) => run);
  return { outcome: { verdicts, frozen, isStorages: false, isHeld: false }, going, runs };
}

/** This machine remembers a freeze; where its memory is lost, or ends before the newest runs, the receipts beside them do. */
function whyFrozen(last: LastRuns, runs: readonly PublishedRun[]): string | undefined {
  const frozen = last.frozen ?? markedFreeze(unheardOf(runs, last));
  return frozen && `${frozen.reason} (since run ${frozen.sinceRun})`;
}

function judge(
  runs: readonly RetainedRun[],
  policy: Parameters<typeof planRetention>[1],
  nowMs: number,
): Verdict[] {
  try {
    return planRetention(runs, policy, nowMs);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const isClock = error.code === 'CLOCK_INVALID';
    throw new AgentError(isClock ? 'RUN_FAILED' : 'CONFIG_INVALID', `retention: ${error.message}`, {
      hint: isClock ? "set this machine's clock" : 'correct "retention" in the configuration',
      cause: error,
    });
  }
}

function asRetained({ run, receipt, isDamaged }: PublishedRun): RetainedRun & { readonly run: RunName } {
  // Names are made from the date, and the end of that day is the latest that it can mean.
  const receivedAtMs = receipt?.finishedAtMs ?? runDateMs(run) + DAY_MS - 1;
  return { run, receivedAtMs, state: isDamaged ? 'damaged' : stateOf(receipt) };
}

/** Without its receipt nobody can say that a run had everything: it is good, but no better than a partial one. */
function stateOf(receipt: Receipt | undefined): 'complete' | 'partial' {
  return receipt?.status ?? 'partial';
}

/** @param newest - whoever thaws has looked at all that is there: no receipt up to it is asked again */
async function thaw(state: StateFolder, newest: RunName | undefined): Promise<void> {
  const last = await state.lastRuns();
  await state.saveLastRuns({ ...last, frozen: undefined, ...(newest && { thawedRun: newest }) });
}

/** @returns the runs that stay because somebody reads */
async function removeRuns(
  going: readonly RunName[],
  { account, progress, signal, readingLock }: RetentionPorts,
): Promise<ReadonlySet<string>> {
  for (const [index, run] of going.entries()) {
    if (index > 0) await sleep(DOOR_OPEN_MS, signal);
    signal.throwIfAborted();
    using alone = readingLock.tryRemove();
    if (!alone) return new Set(going.slice(index));
    progress.stage(`removing ${run}`);
    await account.removeRun(run, { signal });
  }
  signal.throwIfAborted();
  await account.emptyTrash({ signal });
  return new Set();
}
