import type { LastRuns } from '../ports/state-folder.ts';
import type { StorageSide } from '../ports/storage-account.ts';

/**
 * Why retention stands still. What the last run noted of a storage that retires runs itself holds until that was asked: its
 * administrator may have thawed the account since, or frozen it.
 *
 * @param account - undefined if it was not reached
 */
export function frozenNow(
  last: LastRuns,
  account: { readonly side?: Pick<StorageSide, 'frozen'> | undefined } | undefined,
): LastRuns['frozen'] {
  if (account?.side === undefined) return last.frozen;
  const { frozen } = account.side;
  return frozen && { ...frozen, isAtStorage: true };
}
