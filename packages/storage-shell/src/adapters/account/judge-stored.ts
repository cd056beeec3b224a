import { compareRunNames, isCount, MAX_JUDGED_RUNS } from '@bakker/impl-format/storage';
import type { ReceivedFigures, RunName, VerdictsReply } from '@bakker/impl-format/storage';
import type { FolderHandle } from '@bakker/linux';
import type { Verdict } from '@bakker/retention';
import { StorageError } from '../../errors.ts';
import type { RetentionRules } from '../../policy/account-policy.ts';
import type { StoredRun } from '../../ports/account-keeper.ts';
import { judgeRuns } from '../../retain/judge-runs.ts';
import { readHurt } from '../runs/hurt-record.ts';
import { storedRuns } from '../runs/stored-runs.ts';
import { readFrozen } from './frozen-file.ts';
import { readReceipt } from './receipt-file.ts';

export interface JudgingOptions {
  readonly rules: RetentionRules;
  readonly nowMs: number;
  /** Runs after this one; all if undefined. */
  readonly after: RunName | undefined;
}

/** What retention would do now, what scrub found, and what the receipts say. Changes nothing. @throws errno errors */
export function judgeStored(account: FolderHandle, { rules, nowMs, after }: JudgingOptions): VerdictsReply {
  const hurt = readHurt(account);
  const hurtManifests = new Set<string>(hurt?.manifests ?? []);
  const hurtFiles = new Map<string, number>();
  for (const { names } of hurt?.files ?? [])
    for (const { run } of names) hurtFiles.set(run, (hurtFiles.get(run) ?? 0) + 1);
  const runs = storedRuns(account, hurtManifests);
  const verdicts = new Map(
    verdictsOf(runs, { account, rules, nowMs }).map((verdict) => [verdict.run, verdict]),
  );
  const rest = after === undefined ? runs : runs.filter(({ run }) => compareRunNames(run, after) > 0);
  return {
    runs: rest.slice(0, MAX_JUDGED_RUNS).map(({ run }) => {
      const verdict = verdicts.get(run);
      return {
        run,
        keeps: verdict?.keep ?? null,
        reasons: (verdict?.reasons ?? [])
          .slice(0, MAX_REASONS)
          .map((text) => text.slice(0, MAX_REASON_LENGTH)),
        hurtFiles: hurtFiles.get(run) ?? 0,
        isManifestHurt: hurtManifests.has(run),
        figures: readFigures(account, run),
      };
    }),
    hurtFoundAtMs: hurt?.atMs ?? null,
    more: rest.length > MAX_JUDGED_RUNS,
  };
}

/** As many as a run can have; all of them in a packet. */
const MAX_REASONS = 8;
const MAX_REASON_LENGTH = 120;

/** None where retention itself would stop: a clock that can't be right, a policy that makes no sense. */
function verdictsOf(
  runs: readonly StoredRun[],
  { account, rules, nowMs }: { account: FolderHandle; rules: RetentionRules; nowMs: number },
): Verdict[] {
  try {
    return judgeRuns(runs, { rules, frozen: readFrozen(account), nowMs });
  } catch (error) {
    if (error instanceof StorageError) return [];
    throw error;
  }
}

/** Only what the server said itself: how much of another run it kept is not for each key to know. */
function readFigures(account: FolderHandle, run: RunName): ReceivedFigures | null {
  const receipt = readReceipt(account, run);
  if (receipt === undefined) return null;
  const { status, startedAtMs, finishedAtMs, files, sourceBytes, addedBytes, receivedAtMs } = receipt;
  if (status !== 'complete' && status !== 'partial') return null;
  if (!isCount(startedAtMs) || !isCount(finishedAtMs)) return null;
  if (!isCount(files) || !isCount(sourceBytes) || !isCount(addedBytes)) return null;
  return {
    status,
    startedAtMs,
    finishedAtMs,
    files,
    sourceBytes,
    addedBytes,
    receivedAtMs: isCount(receivedAtMs) ? receivedAtMs : null,
  };
}
