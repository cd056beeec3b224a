import { classifyName, compareRunNames, receiptName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { DEFAULT_POLICY } from '../policy/account-policy.ts';
import { reserveBytesOf } from '../policy/reserve.ts';
import type { System } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { readAccountNotes } from './account-notes.ts';
import { backendOf } from './backend.ts';
import { mustBeRoot } from './installation.ts';
import { readPolicy } from './policy-file.ts';
import { keyFingerprint } from './public-key.ts';
import { readRecords, staleKeyFiles } from './registry.ts';
import type { Registry } from './registry.ts';
import { spaceOfAccount } from './space-of-account.ts';

/** What an administrator should know of an account; the more urgent first. */
export type AccountState =
  | 'ok'
  | 'closed'
  | 'unfinished'
  | 'no user'
  | 'absent'
  | 'unreadable'
  | 'hurt'
  | 'frozen'
  | 'full'
  | 'space requested'
  | 'keys out of date';

export interface AccountOverview {
  readonly account: string;
  readonly folder: string;
  readonly backend: string;
  readonly limitBytes: number | null;
  readonly usedBytes: number | null;
  readonly freeBytes: number | null;
  readonly requestedBytes: number | null;
  readonly runs: number;
  readonly incomplete: number;
  readonly lastRun: string | null;
  /** By this storage's clock. */
  readonly lastReceivedAtMs: number | null;
  /** All that hold; `ok` alone. */
  readonly states: readonly AccountState[];
  readonly keys: readonly { readonly fingerprint: string; readonly read: boolean }[];
  readonly grants: readonly string[];
}

/** One for each account, by name. @throws StorageError DENIED, CONFIG_INVALID */
export async function overview(registry: Registry): Promise<AccountOverview[]> {
  mustBeRoot(registry.system);
  const records = await readRecords(registry);
  const stale = new Set((await staleKeyFiles(registry, { records })).map(({ record }) => record.name));
  const found: AccountOverview[] = [];
  for (const record of records)
    found.push(await look(record, { registry, hasStaleKeys: stale.has(record.name) }));
  return found;
}

async function look(
  record: AccountRecord,
  about: { registry: Registry; hasStaleKeys: boolean },
): Promise<AccountOverview> {
  const { system, places } = about.registry;
  const folder = accountFolder(record);
  const space = await backendOf({ system, places, record })
    .space()
    .catch(() => undefined);
  const policy = await readPolicy(system, record).catch(() => undefined);
  // One account's dead disk must not hide the others.
  const listed = await system.list(folder).catch(() => undefined);
  const names = (listed ?? []).map((name) => classifyName(Buffer.from(name)));
  const runs = names.flatMap((name) => (name.kind === 'run' ? [name.run] : []));
  const lastRun = runs.reduce<RunName | undefined>(
    (last, run) => (last === undefined || compareRunNames(run, last) > 0 ? run : last),
    undefined,
  );
  const notes = await readAccountNotes(system, folder);
  const { limitBytes, usedBytes, belowLimitBytes, freeBytes } = spaceOfAccount({
    ...{ space, notes },
    policy: policy?.space,
  });
  const isAsking = notes.requestedBytes !== undefined && notes.requestedBytes > (limitBytes ?? Infinity);
  // As sessions see it: they leave the reserve alone, and refuse what does not fit beside it.
  const reserveBytes =
    space === undefined ? 0 : reserveBytesOf(policy?.space ?? DEFAULT_POLICY.space, space.volumeBytes);
  const isFull =
    (space?.freeBytes !== undefined && space.freeBytes < reserveBytes + SMALL_FILE_BYTES) ||
    belowLimitBytes < SMALL_FILE_BYTES;
  const states: AccountState[] = [
    ...(record.state === 'closed' ? (['closed'] as const) : []),
    ...(record.state === 'unfinished' ? (['unfinished'] as const) : []),
    ...(record.state !== 'unfinished' && (await system.user(record.name)) === undefined
      ? (['no user'] as const)
      : []),
    // a policy with mistakes says nothing of the space either
    ...(listed === undefined || (space === undefined && policy !== undefined) ? (['absent'] as const) : []),
    ...(listed !== undefined && policy === undefined ? (['unreadable'] as const) : []),
    ...(notes.isHurt ? (['hurt'] as const) : []),
    ...(notes.isFrozen ? (['frozen'] as const) : []),
    ...(isFull ? (['full'] as const) : []),
    ...(isAsking ? (['space requested'] as const) : []),
    ...(about.hasStaleKeys ? (['keys out of date'] as const) : []),
  ];
  return {
    account: record.name,
    folder,
    backend: record.backend.kind,
    limitBytes: limitBytes ?? null,
    usedBytes: usedBytes ?? null,
    freeBytes: freeBytes ?? null,
    requestedBytes: isAsking ? (notes.requestedBytes ?? null) : null,
    runs: runs.length,
    incomplete: names.filter(({ kind }) => kind === 'incomplete').length,
    lastRun: lastRun ?? null,
    lastReceivedAtMs:
      lastRun === undefined ? null : await receivedAt(system, `${folder}/${receiptName(lastRun)}`),
    states: states.length === 0 ? ['ok'] : states,
    keys: record.keys.map(({ key, mayRead }) => ({ fingerprint: keyFingerprint(key), read: mayRead })),
    grants: record.grants.map((grant) =>
      grant.to === 'key' ? `key ${keyFingerprint(grant.key)}` : `${grant.to} ${grant.name}`,
    ),
  };
}

/** The most that comes in one piece: with less than that, backups are refused. */
const SMALL_FILE_BYTES = 255 * 1024;

async function receivedAt(system: System, file: string): Promise<number | null> {
  try {
    const receipt: unknown = JSON.parse((await system.readText(file)) ?? 'null');
    if (typeof receipt !== 'object' || receipt === null || !('receivedAtMs' in receipt)) return null;
    return typeof receipt.receivedAtMs === 'number' ? receipt.receivedAtMs : null;
  } catch {
    return null;
  }
}
