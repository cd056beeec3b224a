import type { Entry, RunName } from '@bakker/impl-format';
import { Budget } from '../backup/budget.ts';
import { storedPath } from '../backup/stored-place.ts';
import { damageOf } from '../browse/stored-content.ts';
import type { StorageAccount, StoredItem } from '../ports/storage-account.ts';

/** The names in a stored folder by their bytes as latin1, or why they can't be listed. */
export type Listing = Map<string, StoredItem> | string;

/** An entry; a folder with the listing of what lies in it on the storage. */
export interface ListedEntry {
  readonly entry: Entry;
  readonly listing: Promise<Listing> | undefined;
}

const LISTINGS_IN_FLIGHT = 64;

/** Asks for the listings of the folders ahead while the entries before them are looked at. Holds two batches and their listings. */
export async function* listAhead(
  batches: AsyncIterable<readonly Entry[]>,
  { account, run }: { account: StorageAccount; run: RunName },
): AsyncGenerator<readonly ListedEntry[]> {
  const budget = new Budget({ maxCount: LISTINGS_IN_FLIGHT, maxBytes: Number.POSITIVE_INFINITY });
  let ahead: readonly ListedEntry[] | undefined;
  for await (const batch of batches) {
    const listed: ListedEntry[] = [];
    for (const entry of batch) {
      const path = entry.type === 'directory' ? storedPath(entry) : undefined;
      if (path === undefined) {
        listed.push({ entry, listing: undefined });
        continue;
      }
      const room = budget.room();
      if (room !== undefined) await room;
      budget.take(0);
      const listing = listFolder(account, run, path).finally(() => {
        budget.give(0);
      });
      listing.catch(() => undefined); // awaited when its turn comes; until then a failure must not end the process
      listed.push({ entry, listing });
    }
    if (ahead !== undefined) yield ahead;
    ahead = listed;
  }
  if (ahead !== undefined) yield ahead;
}

/** @throws what is about more than this folder */
export async function listFolder(account: StorageAccount, run: RunName, path: Buffer): Promise<Listing> {
  try {
    const items = await account.listFolder(run, path);
    return new Map(items.map((item) => [item.name.toString('latin1'), item]));
  } catch (error) {
    return damageOf(error);
  }
}
