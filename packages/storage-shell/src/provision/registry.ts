import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import type { AccountName } from './account-name.ts';
import { isAccountName } from './account-name.ts';
import { parseRecord } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { parseGroups } from './groups.ts';
import type { Groups } from './groups.ts';
import { renderKeyFile } from './key-file.ts';
import { groupsFile, keysFolder, recordsFolder } from './places.ts';
import type { Places } from './places.ts';

export interface Registry {
  readonly system: System;
  readonly places: Places;
}

/** Of all accounts, by name. @throws StorageError CONFIG_INVALID */
export async function readRecords({ system, places }: Registry): Promise<AccountRecord[]> {
  const records: AccountRecord[] = [];
  for (const file of await system.list(recordsFolder(places))) {
    const name = /^(.*)\.yaml$/.exec(file)?.[1];
    if (name === undefined || !isAccountName(name)) continue;
    const record = await readRecord({ system, places }, name);
    if (record !== undefined) records.push(record);
  }
  return records;
}

export async function readRecord(
  { system, places }: Registry,
  name: AccountName,
): Promise<AccountRecord | undefined> {
  const file = recordFile(places, name);
  const text = await system.readText(file);
  return text === undefined ? undefined : parseRecord(text, { name, file });
}

/** @throws StorageError NOT_FOUND */
export async function mustReadRecord(registry: Registry, name: AccountName): Promise<AccountRecord> {
  const record = await readRecord(registry, name);
  if (record !== undefined) return record;
  throw new StorageError('NOT_FOUND', `there is no account ${name}`, {
    hint: `bakker-storage accounts lists them; bakker-storage provision ${name} makes it`,
  });
}

export async function readGroups({ system, places }: Registry): Promise<Groups> {
  const file = groupsFile(places);
  return parseGroups(await system.readText(file), file);
}

export function recordFile(places: Places, name: AccountName): string {
  return `${recordsFolder(places)}/${name}.yaml`;
}

export function keyFile(places: Places, name: AccountName): string {
  return `${keysFolder(places)}/${name}`;
}

/** Key files that do not say (any more) what records and groups say, with what they should say. */
export async function staleKeyFiles(
  registry: Registry,
  change: { records?: readonly AccountRecord[]; groups?: Groups } = {},
): Promise<{ record: AccountRecord; text: string }[]> {
  const { system, places } = registry;
  const records = change.records ?? (await readRecords(registry));
  const groups = change.groups ?? (await readGroups(registry));
  const stale: { record: AccountRecord; text: string }[] = [];
  for (const record of records) {
    const existing = await system.readText(keyFile(places, record.name));
    const text = renderKeyFile(existing, { record, records, groups, launcher: system.launcher });
    if (text !== existing) stale.push({ record, text });
  }
  return stale;
}

/**
 * Root's, so that no account can give itself a key, and readable by its own group alone, since sshd reads it as the user
 * who logs in.
 */
export async function writeKeyFile(
  { system, places }: Registry,
  { record, text }: { record: AccountRecord; text: string },
): Promise<void> {
  const user = await system.user(record.name);
  if (user === undefined) {
    throw new StorageError('ACCOUNT_UNUSABLE', `the Unix user ${record.name} is gone`, {
      hint: `bakker-storage provision ${record.name} makes it again`,
    });
  }
  await system.writeText(keyFile(places, record.name), text, { mode: 0o640, gid: user.gid });
}

/** Brings every key file up to date. @returns the accounts whose file was written */
export async function refreshKeyFiles(registry: Registry): Promise<AccountName[]> {
  const stale = await staleKeyFiles(registry);
  for (const file of stale) await writeKeyFile(registry, file);
  return stale.map(({ record }) => record.name);
}
