import { compareRunNames } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import type { LastRuns } from '../ports/state-folder.ts';
import type { Receipt, StorageAccount, StoredRun } from '../ports/storage-account.ts';

const RECEIPTS_AT_ONCE = 16;

/** A run without a suffix, with what was noted beside it. */
export interface PublishedRun {
  readonly run: RunName;
  readonly receipt: Receipt | undefined;
  /** Its manifest is missing or empty, so nothing can be restored by it. */
  readonly isDamaged: boolean;
}

/** Oldest first. Manifests are not read: for their content there is `verify`. */
export async function readPublishedRuns(
  account: StorageAccount,
  { signal }: { signal: AbortSignal },
): Promise<PublishedRun[]> {
  return readReceipts(account, await account.listRuns(), { signal });
}

/** @param runs - oldest first; incomplete ones are left out */
export async function readReceipts(
  account: StorageAccount,
  runs: readonly StoredRun[],
  { signal }: { signal: AbortSignal },
): Promise<PublishedRun[]> {
  const complete = runs.filter(({ state }) => state === 'complete');
  const published: PublishedRun[] = [];
  for (let start = 0; start < complete.length; start += RECEIPTS_AT_ONCE) {
    signal.throwIfAborted();
    const batch = complete.slice(start, start + RECEIPTS_AT_ONCE).map(async ({ run, manifestSizeBytes }) => ({
      run,
      receipt: await account.receipt(run),
      isDamaged: manifestSizeBytes === undefined || manifestSizeBytes === 0,
    }));
    published.push(...(await Promise.all(batch)));
  }
  return published;
}

/**
 * What the receipts know of a guard that wanted retention to stand still. To be asked of runs that this machine does not
 * know to be its own: all if its memory is lost, the newest one if the answer to its publish was.
 */
export function markedFreeze(
  runs: readonly PublishedRun[],
): { readonly reason: string; readonly sinceRun: RunName } | undefined {
  const marked = runs.findLast(({ receipt }) => receipt?.frozen !== undefined);
  return marked && { reason: marked.receipt?.frozen ?? '', sinceRun: marked.run };
}

/** The runs that this machine has neither heard of as published nor thawed retention behind. */
export function unheardOf<T extends { readonly run: RunName }>(
  runs: readonly T[],
  { lastSuccess, thawedRun }: Pick<LastRuns, 'lastSuccess' | 'thawedRun'>,
): readonly T[] {
  const known = [lastSuccess?.run, thawedRun].filter((run) => run !== undefined);
  return runs.filter(({ run }) => known.every((before) => compareRunNames(run, before) > 0));
}
