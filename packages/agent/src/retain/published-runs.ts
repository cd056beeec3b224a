import type { RunName } from '@bakker/impl-format';
import type { Receipt, StorageAccount } from '../ports/storage-account.ts';

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
  const complete = (await account.listRuns()).filter(({ state }) => state === 'complete');
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

/** What the receipts know of a guard that wanted retention to stand still, where this machine's own memory is lost. */
export function markedFreeze(
  runs: readonly PublishedRun[],
): { readonly reason: string; readonly sinceRun: RunName } | undefined {
  const marked = runs.findLast(({ receipt }) => receipt?.frozen !== undefined);
  return marked && { reason: marked.receipt?.frozen ?? '', sinceRun: marked.run };
}
