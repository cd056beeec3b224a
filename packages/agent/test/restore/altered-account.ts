import { encodeManifest, readManifest, type Entry } from '@bakker/impl-format';
import type { StorageAccount } from '../../src/ports/storage-account.ts';

/** The real account with some methods replaced: faults enter through the port. */
export function altered(account: StorageAccount, own: Partial<StorageAccount>): StorageAccount {
  return new Proxy(account, {
    get: (target, key) => {
      const value: unknown = Reflect.get(key in own ? own : target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** The real account, its manifests written anew with changed entries (in the same order). */
export function withEntries(account: StorageAccount, change: (entry: Entry) => Entry): StorageAccount {
  return altered(account, {
    async *manifest(run) {
      const reader = await readManifest(account.manifest(run));
      const batches = async function* () {
        for await (const batch of reader.batches()) yield batch.map(change);
      };
      for await (const bytes of encodeManifest(reader.header, batches(), () => ({
        finishedAtMs: 1,
        addedBytes: 0,
      })))
        yield Buffer.from(bytes);
    },
  });
}
