import type { AccountName } from './account-name.ts';
import { readAccountNotes } from './account-notes.ts';
import { accountFolder } from './account-record.ts';
import { backendOf } from './backend.ts';
import { mustBeRoot } from './installation.ts';
import { readPolicy } from './policy-file.ts';
import { mustReadRecord } from './registry.ts';
import type { Registry } from './registry.ts';

/** Null for what is not set, or not known. */
export interface QuotaView {
  readonly account: AccountName;
  readonly backend: string;
  readonly limitBytes: number | null;
  readonly usedBytes: number | null;
  readonly freeBytes: number | null;
  readonly ceilingBytes: number | null;
  readonly reserveBytes: number | null;
}

/** @throws StorageError DENIED, NOT_FOUND */
export async function quotaView(name: AccountName, { system, places }: Registry): Promise<QuotaView> {
  mustBeRoot(system);
  const record = await mustReadRecord({ system, places }, name);
  const space = await backendOf({ system, places, record }).space();
  const policy = (await readPolicy(system, record)).space;
  return {
    account: name,
    backend: record.backend.kind,
    limitBytes: space?.limitBytes ?? null,
    usedBytes: space?.usedBytes ?? (await readAccountNotes(system, accountFolder(record))).usedBytes ?? null,
    freeBytes: space?.freeBytes ?? null,
    ceilingBytes: (record.backend.kind === 'dir' ? policy.ceilingBytes : record.ceilingBytes) ?? null,
    reserveBytes: policy.reserveBytes ?? null,
  };
}
