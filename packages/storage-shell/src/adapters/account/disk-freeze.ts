import { wallClockMs } from '@bakker/command-line';
import { nextRunName, parseRunName } from '@bakker/impl-format/storage';
import type { Freeze, RunName } from '@bakker/impl-format/storage';
import type { FolderHandle } from '@bakker/linux';
import type { FreezeRules } from '../../policy/account-policy.ts';
import type { FreezeJudge, PublishedRun } from '../../ports/freeze-judge.ts';
import { freezeReason } from '../../retain/freeze-rules.ts';
import { parseStoredReceipt } from '../../retain/stored-receipt.ts';
import { readFrozen, writeFrozen } from './frozen-file.ts';
import { lookAt } from './look.ts';
import { countedObjects } from './receipt-file.ts';
import { readSmallFile } from './steps.ts';

const MAX_FILE_BYTES = 64 * 1024;
const DAY_MS = 86_400_000;

export interface DiskFreezeOptions {
  readonly account: FolderHandle;
  readonly rules: () => FreezeRules;
}

/** Keeps `.bakker/frozen.json`, which retention looks for before it removes anything. */
export class DiskFreeze implements FreezeJudge {
  readonly #options: DiskFreezeOptions;

  constructor(options: DiskFreezeOptions) {
    this.#options = options;
  }

  current(): Freeze | null {
    const { account } = this.#options;
    const frozen = readFrozen(account);
    if (frozen === undefined) return null;
    const { reason, sinceRun = '' } = frozen;
    // Frozen by hand before there was any run: since the first that comes.
    const since = parseRunName(sinceRun) ?? lookAt(account).complete.at(-1) ?? nextRunName([], wallClockMs());
    return { reason, sinceRun: since };
  }

  judge(run: PublishedRun): string | undefined {
    const policy = this.#options.rules();
    const { keptFiles } = run;
    const parentFiles = Math.max(run.parentFiles, this.#passedOver(run.parent));
    const runsReceivedLastDay = 1 + this.#receivedSince(run.receivedAtMs - DAY_MS, policy.maxRunsADay);
    const found = freezeReason({ parentFiles, keptFiles, runsReceivedLastDay, policy });
    return found ?? run.asked;
  }

  /** Under the lock of names. @param hidden - `.bakker` */
  freeze(hidden: FolderHandle, frozen: { reason: string; sinceRun: RunName; atMs: number }): void {
    // Who froze it first has the reason that somebody is going to look at.
    if (readFrozen(this.#options.account) === undefined) writeFrozen(hidden, frozen);
  }

  /** Files of the newest run, if the server compared with another one or with none: then it kept what it says, and no more. */
  #passedOver(parent: RunName | undefined): number {
    const { account } = this.#options;
    const newest = lookAt(account).complete.at(-1);
    return newest === undefined || newest === parent ? 0 : (countedObjects(account, newest)?.files ?? 0);
  }

  /** Counts no further than what decides. */
  #receivedSince(sinceMs: number, most: number): number {
    const { account } = this.#options;
    let count = 0;
    for (const run of lookAt(account).complete.toReversed()) {
      const text = readSmallFile(account, `.bakker/receipts/${run}.json`, MAX_FILE_BYTES);
      const receivedAtMs = text && parseStoredReceipt(text.toString('utf8'), run)?.receivedAtMs;
      // Runs are named in the order in which they came; one of another storage has no such time.
      if (receivedAtMs === undefined || receivedAtMs < sinceMs) break;
      count++;
      if (count > most) break;
    }
    return count;
  }
}
