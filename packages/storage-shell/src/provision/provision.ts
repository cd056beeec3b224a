import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { backendOf } from './backend.ts';
import type { SpaceBackend } from './backend.ts';
import { recordStep } from './change-records.ts';
import { chooseRecord } from './choose-settings.ts';
import type { ProvisionRequest } from './choose-settings.ts';
import { fileStep, passageStep } from './file-steps.ts';
import { checkGroupName, joinGroup, parseGroups } from './groups.ts';
import { hostKeyFingerprints } from './host-keys.ts';
import { checkInstallation, mustBeRoot, startCheckStep } from './installation.ts';
import { keptNumbers } from './kept-folder.ts';
import { keyFileSteps } from './key-file-steps.ts';
import { groupsFile, keysFolder, lockFile, recordsFolder } from './places.ts';
import { ownFilesSteps, policyFile, policyStep, privateFolderStep } from './policy-file.ts';
import { keyFingerprint } from './public-key.ts';
import { keyFileOwnerStep, reachCheckStep } from './reach-steps.ts';
import { readRecords, recordFile } from './registry.ts';
import type { Registry } from './registry.ts';
import { endSessionsStep } from './session-steps.ts';
import { sizeText } from './sizes.ts';
import { sshdCheckStep, sshdSteps } from './sshd-steps.ts';
import { runSteps } from './steps.ts';
import type { Step, StepOutcome } from './steps.ts';
import { checkOurs, groupStep, userStep } from './user-steps.ts';

export interface ProvisionTools {
  readonly registry: Registry;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

export interface Provisioned {
  readonly record: AccountRecord;
  readonly folder: string;
  readonly isDryRun: boolean;
  readonly steps: readonly StepOutcome[];
  /** Of this storage's sshd, `SHA256:…`, for the server to pin. */
  readonly hostKeys: readonly string[];
}

/**
 * Makes an account, or completes one: user, space, policy, keys, sshd. What is right already is left alone; what fails is
 * undone. The key file comes after all that it opens, so that nobody logs in to half an account.
 *
 * @throws StorageError DENIED, USAGE, NAME_TAKEN, CONFIG_INVALID, UNSUPPORTED, NOT_FOUND, FULL, FAILED, LOCKED
 */
export async function provision(request: ProvisionRequest, tools: ProvisionTools): Promise<Provisioned> {
  const { registry, note } = tools;
  const { system, places } = registry;
  mustBeRoot(system);
  for (const group of request.groups) checkGroupName(group);
  await checkInstallation(system, { places, note });
  const work = async (): Promise<Provisioned> => {
    const { record, steps } = await planProvision(request, registry);
    const outcomes = await runSteps(steps, { isDryRun: request.isDryRun, signal: tools.signal, note });
    return {
      record,
      folder: accountFolder(record),
      isDryRun: request.isDryRun,
      steps: outcomes,
      hostKeys: await hostKeyFingerprints(registry),
    };
  };
  if (request.isDryRun) return work();
  await system.makeFolder(places.etc, { mode: 0o755 });
  return system.exclusively(lockFile(places), work);
}

async function planProvision(
  request: ProvisionRequest,
  registry: Registry,
): Promise<{ record: AccountRecord; steps: Step[] }> {
  const { system, places } = registry;
  const records = await readRecords(registry);
  const existing = records.find(({ name }) => name === request.name);
  const record = chooseRecord(request, { existing, places });
  const user = await system.user(record.name);
  // Before anything is noted: what is cut off after it may be removed by its name.
  if (user !== undefined) checkOurs(user);
  const backend = backendOf({ system, places, record });
  await backend.check();
  if (existing?.state === 'ready' || existing?.state === 'closed')
    await checkSize(request, { system, record, backend });

  const groupsText = await joinedGroups(request, registry);
  const file = recordFile(places, record.name);
  const noteStep = (title: string, wanted: AccountRecord): Step =>
    recordStep(system, { title, path: file, record: wanted });
  const { limitBytes, ceilingBytes } = shellLimits(request, record);
  return {
    record,
    steps: [
      await passageStep(system, places.etc, 0o755),
      // Names of accounts are nobody's business; sshd looks a key file up as the user who logs in.
      await passageStep(system, keysFolder(places), 0o711),
      await passageStep(system, recordsFolder(places), 0o700),
      groupStep(system, places),
      await passageStep(system, record.rootDir, 0o711),
      ...(existing === undefined
        ? [noteStep(`note the account ${record.name} as unfinished`, { ...record, state: 'unfinished' })]
        : []),
      userStep(system, record, { places, kept: await keptNumbers(system, record) }),
      startCheckStep(system, record),
      ...backend.provisionSteps(request.sizeBytes),
      privateFolderStep(system, record),
      ...ownFilesSteps(system, record),
      policyStep(system, record, {
        ...(limitBytes === undefined ? {} : { limitBytes }),
        ...(ceilingBytes === undefined ? {} : { ceilingBytes }),
      }),
      ...(await sshdSteps(system, places)),
      sshdCheckStep(system, places, record.name),
      ...(groupsText === undefined
        ? []
        : [
            fileStep(system, {
              title: `put ${record.name} into ${request.groups.join(', ')}`,
              path: groupsFile(places),
              text: () => groupsText,
              options: () => ({ mode: 0o644 }),
            }),
          ]),
      noteStep(`note the account ${record.name}`, record),
      ...(await keyFileSteps(registry, {
        own: record,
        records: [...records.filter(({ name }) => name !== record.name), record],
        ...(groupsText === undefined ? {} : { groups: parseGroups(groupsText, groupsFile(places)) }),
      })),
      keyFileOwnerStep(registry, record),
      reachCheckStep(registry, record),
      // what a session may do is settled when it begins
      ...(losesReading(existing, record) ? [endSessionsStep(registry, [record.name])] : []),
    ],
  };
}

function losesReading(existing: AccountRecord | undefined, { keys }: AccountRecord): boolean {
  const readers = existing?.keys.filter(({ mayRead }) => mayRead).map(({ key }) => keyFingerprint(key)) ?? [];
  return keys.some(({ key, mayRead }) => !mayRead && readers.includes(keyFingerprint(key)));
}

/** Where the file system is the account's own or has its quota, the shell need not count. */
function shellLimits(
  { sizeBytes, ceilingBytes }: ProvisionRequest,
  { backend }: AccountRecord,
): { limitBytes: number | undefined; ceilingBytes: number | undefined } {
  return backend.kind === 'dir'
    ? { limitBytes: sizeBytes, ceilingBytes }
    : { limitBytes: undefined, ceilingBytes: undefined };
}

/** Sizes of accounts that are there are changed by other commands, which say what that means. */
async function checkSize(
  { sizeBytes, name }: ProvisionRequest,
  { system, record, backend }: { system: System; record: AccountRecord; backend: SpaceBackend },
): Promise<void> {
  if (sizeBytes === undefined) return;
  const { kind } = record.backend;
  const has = (await backend.space())?.limitBytes;
  // Without the file, the policy is written anew with this size.
  const isUnlimited =
    kind === 'dir' && has === undefined && (await system.readText(policyFile(record))) !== undefined;
  if (isUnlimited) {
    throw new StorageError('CONFIG_INVALID', `the account ${name} has no limit, not ${sizeText(sizeBytes)}`, {
      hint: `leave --size out to keep it so; bakker-storage quota ${name} --limit ${sizeText(sizeBytes)} sets one`,
    });
  }
  if (has === undefined || has === (await backend.rounded(sizeBytes))) return;
  throw new StorageError(
    'CONFIG_INVALID',
    `the account ${name} has ${sizeText(has)}, not ${sizeText(sizeBytes)}`,
    {
      hint:
        sizeBytes > has
          ? `leave --size out to keep it; bakker-storage grow ${name} ${sizeText(sizeBytes)} enlarges it`
          : kind === 'lvm'
            ? 'leave --size out'
            : `leave --size out, or lower it: bakker-storage quota ${name} --limit ${sizeText(sizeBytes)}`,
    },
  );
}

async function joinedGroups(
  { groups, name }: ProvisionRequest,
  registry: Registry,
): Promise<string | undefined> {
  const file = groupsFile(registry.places);
  let text = await registry.system.readText(file);
  let isChanged = false;
  for (const group of groups) {
    const joined = joinGroup(text, { group, account: name, file });
    if (joined === undefined) continue;
    text = joined;
    isChanged = true;
  }
  return isChanged ? text : undefined;
}
