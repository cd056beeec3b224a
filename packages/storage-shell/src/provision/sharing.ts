import { StorageError } from '../errors.ts';
import type { AccountName } from './account-name.ts';
import type { AccountRecord, Grant } from './account-record.ts';
import { recordChangeSteps } from './change-records.ts';
import { mustBeRoot } from './installation.ts';
import { keyFileSteps } from './key-file-steps.ts';
import { lockFile } from './places.ts';
import type { ProvisionTools } from './provision.ts';
import { keyFingerprint } from './public-key.ts';
import { keyFile, mustReadRecord, readGroups, readRecords, staleKeyFiles } from './registry.ts';
import type { Registry } from './registry.ts';
import { accessEndSteps, endingKey } from './session-steps.ts';
import { runSteps } from './steps.ts';
import type { StepOutcome } from './steps.ts';

/** What a fingerprint or a key names, as revoke takes it. */
export type Revocation = Grant | { readonly to: 'fingerprint'; readonly fingerprint: string };

/**
 * Lets others read an account: keys, the keys that another account has now and later, or those of a group.
 *
 * @throws StorageError DENIED, NOT_FOUND, USAGE, LOCKED
 */
export async function grant(
  request: { name: AccountName; grants: readonly Grant[] },
  tools: ProvisionTools,
): Promise<readonly StepOutcome[]> {
  return changing(request.name, tools, async (record) => {
    for (const added of request.grants) await checkGrantee(record, { added, tools });
    const news = request.grants.filter((added) => !record.grants.some((held) => isSame(held, added)));
    return { ...record, grants: [...record.grants, ...news] };
  });
}

/**
 * Takes a grant back, or a key of the account's own server. Sessions under way are ended, for sshd looked at the key when
 * they began: those of all accounts that the key opened. A call that failed half-way is repeated.
 *
 * @throws StorageError DENIED, NOT_FOUND if there is no such grant or key, LOCKED
 */
export async function revoke(
  request: { name: AccountName; revoked: readonly Revocation[] },
  tools: ProvisionTools,
): Promise<readonly StepOutcome[]> {
  const { registry, signal, note } = tools;
  const { system, places } = registry;
  mustBeRoot(system);
  await mustReadRecord(registry, request.name);
  return system.exclusively(lockFile(places), async () => {
    const record = await mustReadRecord(registry, request.name);
    const ending = new Set(record.ending);
    let { grants, keys } = record;
    for (const revoked of request.revoked) {
      const isMeant = (grant: Grant): boolean =>
        revoked.to === 'fingerprint'
          ? grant.to === 'key' && keyFingerprint(grant.key) === revoked.fingerprint
          : isSame(grant, revoked);
      const isMeantKey = ({ key }: { key: Parameters<typeof keyFingerprint>[0] }): boolean =>
        revoked.to === 'fingerprint'
          ? keyFingerprint(key) === revoked.fingerprint
          : revoked.to === 'key' && revoked.key === key;
      const { own, granted } = endingNames(revoked);
      if (grants.some(isMeant)) ending.add(granted);
      if (keys.some(isMeantKey)) ending.add(own);
      // An earlier call may have been cut off, or the record edited.
      if (await isLeftOpen(record, { revoked, registry })) ending.add(own);
      if (!ending.has(own) && !ending.has(granted)) {
        throw new StorageError('NOT_FOUND', `${record.name} is not open to ${describe(revoked)}`, {
          hint: 'bakker-storage accounts --json lists keys and grants',
        });
      }
      grants = grants.filter((held) => !isMeant(held));
      keys = keys.filter((held) => !isMeantKey(held));
    }
    const steps = await accessEndSteps(registry, {
      changed: { ...record, grants, keys, ending: [...ending] },
      records: await readRecords(registry),
      title: `note who may read ${record.name}`,
    });
    return runSteps(steps, { isDryRun: false, signal, note });
  });
}

/** Whether a key file still opens what the record says no more, as after a record that was edited. */
async function isLeftOpen(
  record: AccountRecord,
  { revoked, registry }: { revoked: Revocation; registry: Registry },
): Promise<boolean> {
  const { system, places } = registry;
  for (const stale of await staleKeyFiles(registry)) {
    // A grant is the account's own; a key of it opens others, too.
    if (stale.record.name !== record.name && (revoked.to === 'account' || revoked.to === 'group')) continue;
    const existing = (await system.readText(keyFile(places, stale.record.name))) ?? '';
    if (isOpenTo(existing, revoked) && !isOpenTo(stale.text, revoked)) return true;
  }
  return false;
}

/** By the comments of a key file. */
function isOpenTo(text: string, revoked: Revocation): boolean {
  const isMeant = (line: string): boolean => {
    switch (revoked.to) {
      case 'key':
        return line.endsWith(`, ${keyFingerprint(revoked.key)}`);
      case 'fingerprint':
        return line.endsWith(`, ${revoked.fingerprint}`);
      case 'account':
        return line.startsWith(`# restore: granted to ${revoked.name}, `);
      case 'group':
        return line.startsWith('# restore: ') && line.includes(` of the group ${revoked.name}, `);
    }
  };
  return text.split('\n').some((line) => line.startsWith('# ') && isMeant(line));
}

/** As a record's `ending` has it. Of keys only the account's own open others, too. */
function endingNames(revoked: Revocation): { own: string; granted: string } {
  if (revoked.to === 'account' || revoked.to === 'group') {
    const name = `${revoked.to} ${revoked.name}`;
    return { own: name, granted: name };
  }
  const own = endingKey(revoked.to === 'key' ? keyFingerprint(revoked.key) : revoked.fingerprint);
  return { own, granted: `granted ${own}` };
}

/** Writes the key files that records and groups make out of date, after groups.yaml was edited. */
export async function refreshKeys({
  registry,
  signal,
  note,
}: ProvisionTools): Promise<readonly StepOutcome[]> {
  const { system, places } = registry;
  mustBeRoot(system);
  return system.exclusively(lockFile(places), async () => {
    const steps = await keyFileSteps(registry, { records: await readRecords(registry) });
    return runSteps(steps, { isDryRun: false, signal, note });
  });
}

async function changing(
  name: AccountName,
  { registry, signal, note }: ProvisionTools,
  change: (record: AccountRecord) => Promise<AccountRecord>,
): Promise<readonly StepOutcome[]> {
  const { system, places } = registry;
  mustBeRoot(system);
  await mustReadRecord(registry, name);
  return system.exclusively(lockFile(places), async () => {
    const changed = await change(await mustReadRecord(registry, name));
    const steps = await recordChangeSteps(registry, {
      changed: [changed],
      title: `note who may read ${name}`,
    });
    return runSteps(steps, { isDryRun: false, signal, note });
  });
}

/** @throws StorageError for who can't be granted anything */
async function checkGrantee(
  record: AccountRecord,
  { added, tools }: { added: Grant; tools: ProvisionTools },
): Promise<void> {
  if (added.to === 'key') {
    if (!record.keys.some(({ key }) => key === added.key)) return;
    throw new StorageError('USAGE', `that key is the backup key of ${record.name} already`, {
      hint: `bakker-storage provision ${record.name} --allow-read lets it read`,
    });
  }
  if (added.to === 'account') {
    if (added.name === record.name)
      throw new StorageError('USAGE', `${record.name} can't be granted to itself`);
    await mustReadRecord(tools.registry, added.name);
    return;
  }
  const groups = await readGroups(tools.registry);
  if (groups.has(added.name)) return;
  throw new StorageError('NOT_FOUND', `there is no group ${added.name}`, {
    hint: `bakker-storage provision ACCOUNT --group ${added.name} puts an account into it, or edit groups.yaml`,
  });
}

function isSame(a: Grant, b: Revocation): boolean {
  if (a.to === 'key') return b.to === 'key' && a.key === b.key;
  return a.to === b.to && (b.to === 'account' || b.to === 'group') && a.name === b.name;
}

function describe(revoked: Revocation): string {
  switch (revoked.to) {
    case 'key':
      return `the key ${keyFingerprint(revoked.key)}`;
    case 'fingerprint':
      return `a key ${revoked.fingerprint}`;
    case 'account':
      return `the account ${revoked.name}`;
    case 'group':
      return `the group ${revoked.name}`;
  }
}
