import { StorageError } from '../errors.ts';
import type { AccountName } from './account-name.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { backendOf } from './backend.ts';
import { recordChangeSteps, withoutUndo } from './change-records.ts';
import { fileStep } from './file-steps.ts';
import { leaveGroups } from './groups.ts';
import { mustBeRoot } from './installation.ts';
import { groupsFile, lockFile } from './places.ts';
import type { ProvisionTools } from './provision.ts';
import { keyFingerprint } from './public-key.ts';
import { keyFile, mustReadRecord, readRecords, recordFile } from './registry.ts';
import type { Registry } from './registry.ts';
import { accessEndSteps, endingKey } from './session-steps.ts';
import { runSteps } from './steps.ts';
import type { Step, StepOutcome } from './steps.ts';
import { checkOurs, isAccountUser } from './user-steps.ts';

export interface DeprovisionRequest {
  readonly name: AccountName;
  readonly deletesData: boolean;
  readonly isDryRun: boolean;
}

export interface Deprovisioned {
  readonly name: AccountName;
  readonly folder: string;
  readonly deletesData: boolean;
  readonly isDryRun: boolean;
  readonly steps: readonly StepOutcome[];
}

/**
 * Closes an account: no key opens it any more, and its sessions end. Its data stays, and so does its Unix user, since the
 * next user might else get the same number, and with it the files. `deletesData` removes all of it.
 *
 * It is never undone: a call that failed half-way is repeated.
 *
 * @throws StorageError DENIED, NOT_FOUND, FAILED, LOCKED
 */
export async function deprovision(
  request: DeprovisionRequest,
  tools: ProvisionTools,
): Promise<Deprovisioned> {
  const { registry, signal, note } = tools;
  const { system, places } = registry;
  mustBeRoot(system);
  const work = async (): Promise<Deprovisioned> => {
    const record = await mustReadRecord(registry, request.name);
    const steps = [
      ...(await closingSteps(record, registry)),
      ...(request.deletesData ? await deletionSteps(record, registry) : []),
    ];
    const outcomes = await runSteps(steps.map(withoutUndo), { isDryRun: request.isDryRun, signal, note });
    return { ...request, folder: accountFolder(record), steps: outcomes };
  };
  await mustReadRecord(registry, request.name);
  return request.isDryRun ? work() : system.exclusively(lockFile(places), work);
}

async function closingSteps(record: AccountRecord, registry: Registry): Promise<Step[]> {
  const ending = new Set(record.ending);
  if (record.state !== 'closed')
    for (const { key } of record.keys) ending.add(endingKey(keyFingerprint(key)));
  return accessEndSteps(registry, {
    changed: { ...record, state: 'closed', ending: [...ending] },
    records: await readRecords(registry),
    title: `close the account ${record.name}`,
  });
}

async function deletionSteps(record: AccountRecord, registry: Registry): Promise<Step[]> {
  const { system, places } = registry;
  const { name } = record;
  const others = (await readRecords(registry)).filter((other) => other.name !== name);
  const granting = others
    .filter(({ grants }) => grants.some((grant) => grant.to === 'account' && grant.name === name))
    .map((other) => ({
      ...other,
      grants: other.grants.filter((grant) => grant.to !== 'account' || grant.name !== name),
    }));
  const removeFile = (title: string, path: string): Step => ({
    title,
    lines: [`rm -f ${path}`],
    isDone: async () => (await system.inspect(path)) === undefined,
    do: () => system.removeFile(path),
  });
  return [
    ...backendOf({ system, places, record }).removalSteps(),
    removeFile(`remove the keys of ${name}`, keyFile(places, name)),
    {
      title: `remove the Unix user ${name}`,
      lines: [`userdel ${name}`],
      isDone: async () => {
        const user = await system.user(name);
        return user === undefined || !(await isAccountUser(system, user, places));
      },
      do: async () => {
        const user = await system.user(name);
        if (user === undefined) return;
        checkOurs(user);
        await system.endProcessesOf(user.uid);
        await system.run(['userdel', name]);
      },
    },
    fileStep(system, {
      title: `take ${name} out of its groups`,
      path: groupsFile(places),
      text: (existing) => leaveGroups(existing, { account: name, file: groupsFile(places) }),
      options: () => ({ mode: 0o644 }),
    }),
    ...(
      await recordChangeSteps(registry, { changed: granting, title: `end what was granted to ${name}` })
    ).filter(({ title }) => title !== `write the keys of ${name}`),
    removeFile(`forget the account ${name}`, recordFile(places, name)),
  ];
}

/** @throws StorageError USAGE: deleting data is asked for twice */
export function checkDeletionWords({
  deletesData,
  saysYes,
}: {
  deletesData: boolean;
  saysYes: boolean;
}): void {
  if (deletesData || !saysYes) return;
  throw new StorageError('USAGE', 'deprovision: --yes is only asked for together with --delete-data');
}
