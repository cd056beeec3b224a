import type { AccountName } from './account-name.ts';
import { readAccountNotes } from './account-notes.ts';
import { accountFolder } from './account-record.ts';
import { backendOf } from './backend.ts';
import { mustBeRoot } from './installation.ts';
import { readPolicy } from './policy-file.ts';
import { mustReadRecord } from './registry.ts';
import type { Registry } from './registry.ts';
import { spaceOfAccount } from './space-of-account.ts';

/** Null for what is not set, or not known. */
export interface QuotaView {
  readonly account: AccountName;
  readonly backend: string;
  /** What an administrator gave. */
  readonly limitBytes: number | null;
  /** What its server asked for and was given by itself, where that is more. */
  readonly grantedBytes: number | null;
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
  const notes = await readAccountNotes(system, accountFolder(record));
  const { limitBytes, usedBytes, freeBytes } = spaceOfAccount({ space, policy, notes });
  return {
    account: name,
    backend: record.backend.kind,
    limitBytes: space?.limitBytes ?? null,
    grantedBytes: limitBytes === space?.limitBytes ? null : (limitBytes ?? null),
    usedBytes: usedBytes ?? null,
    freeBytes: freeBytes ?? null,
    ceilingBytes: (record.backend.kind === 'dir' ? policy.ceilingBytes : record.ceilingBytes) ?? null,
    reserveBytes: policy.reserveBytes ?? null,
  };
}
