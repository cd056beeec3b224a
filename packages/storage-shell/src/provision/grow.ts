import { StorageError } from '../errors.ts';
import type { AccountName } from './account-name.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { readAccountNotes } from './account-notes.ts';
import { backendOf } from './backend.ts';
import { mustBeRoot } from './installation.ts';
import { lockFile } from './places.ts';
import { policyStep, readPolicy } from './policy-file.ts';
import type { SpaceChange } from './policy-file.ts';
import type { ProvisionTools } from './provision.ts';
import { mustReadRecord, readRecords, recordFile } from './registry.ts';
import { renderRecord } from './account-record.ts';
import { fileStep } from './file-steps.ts';
import { sizeText } from './sizes.ts';
import { runSteps } from './steps.ts';
import type { Step, StepOutcome } from './steps.ts';

export interface Grown {
  readonly name: AccountName;
  readonly beforeBytes: number;
  readonly sizeBytes: number;
  readonly isDryRun: boolean;
  readonly steps: readonly StepOutcome[];
}

/**
 * Gives an account more space, while it is in use. It never takes any away.
 *
 * @throws StorageError DENIED, NOT_FOUND, USAGE if it would shrink, FULL, FAILED, LOCKED
 */
export async function grow(
  request: { name: AccountName; sizeBytes: number; isDryRun: boolean },
  tools: ProvisionTools,
): Promise<Grown> {
  const { registry, signal, note } = tools;
  const { system, places } = registry;
  mustBeRoot(system);
  const { name, isDryRun } = request;
  await mustReadRecord(registry, name);
  const work = async (): Promise<Grown> => {
    const record = await mustReadRecord(registry, name);
    const backend = backendOf({ system, places, record });
    await backend.check();
    const sizeBytes = await backend.rounded(request.sizeBytes);
    const beforeBytes = await currentLimit(record, await backend.space());
    if (sizeBytes < beforeBytes) {
      throw new StorageError('USAGE', `${name} has ${sizeText(beforeBytes)}: grow does not shrink it`, {
        hint:
          record.backend.kind === 'lvm'
            ? 'a volume is not shrunk: make a smaller account and copy with rsync -aHXS'
            : `bakker-storage quota ${name} --limit ${sizeText(sizeBytes)} lowers the limit; nothing is deleted by it`,
      });
    }
    const steps =
      sizeBytes === beforeBytes && record.backend.kind !== 'lvm' ? [] : backend.growSteps(sizeBytes);
    const raised = await raisedCeiling(record, { sizeBytes, tools });
    // The ceiling first: account.yaml refuses one that is below the limit.
    const outcomes = await runSteps([...raised, ...steps], { isDryRun, signal, note });
    return { name, beforeBytes, sizeBytes, isDryRun, steps: outcomes };
  };
  return isDryRun ? work() : system.exclusively(lockFile(places), work);
}

/**
 * Gives accounts on volumes and quotas what their servers asked for, up to the ceiling of each: for a timer. Accounts of
 * shared folders need none, their sessions grant it themselves. What can't be given is noted and stays a wish.
 */
export async function growRequested(isDryRun: boolean, tools: ProvisionTools): Promise<Grown[]> {
  const { system, places } = tools.registry;
  mustBeRoot(system);
  const grown: Grown[] = [];
  for (const record of await readRecords(tools.registry)) {
    if (record.backend.kind === 'dir' || record.ceilingBytes === undefined || record.state !== 'ready')
      continue;
    const { requestedBytes } = await readAccountNotes(system, accountFolder(record));
    if (requestedBytes === undefined || requestedBytes > record.ceilingBytes) continue;
    try {
      const backend = backendOf({ system, places, record });
      const before = await backend.space();
      const sizeBytes = await backend.rounded(requestedBytes);
      if (before?.limitBytes === undefined || sizeBytes < before.limitBytes) continue;
      // With a volume of that size already: a call that was cut off may have left its file system smaller.
      const one = await grow({ name: record.name, sizeBytes, isDryRun }, tools);
      const isMore =
        sizeBytes > before.limitBytes || (await backend.space())?.volumeBytes !== before.volumeBytes;
      if (isMore) grown.push(one);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      tools.note(`${record.name} was not given what it asks for: ${error.message}`);
    }
  }
  return grown;
}

/**
 * Shows, or sets, what the shell counts by: `--limit` may lower it too where no volume stands behind it.
 *
 * @throws StorageError as `grow`
 */
export async function changeQuota(
  request: { name: AccountName; change: SpaceChange; isDryRun: boolean },
  tools: ProvisionTools,
): Promise<readonly StepOutcome[]> {
  const { registry, signal, note } = tools;
  const { system, places } = registry;
  mustBeRoot(system);
  await mustReadRecord(registry, request.name);
  return system.exclusively(lockFile(places), async () => {
    const record = await mustReadRecord(registry, request.name);
    const steps = quotaSteps(record, request.change, tools);
    return runSteps(steps, { isDryRun: request.isDryRun, signal, note });
  });
}

function quotaSteps(record: AccountRecord, change: SpaceChange, { registry }: ProvisionTools): Step[] {
  const { system, places } = registry;
  if (record.backend.kind === 'dir') return [policyStep(system, record, change)];
  const { limitBytes, ceilingBytes, reserveBytes } = change;
  if (limitBytes !== undefined && record.backend.kind === 'lvm') {
    throw new StorageError('USAGE', `the limit of ${record.name} is its volume's size`, {
      hint: `bakker-storage grow ${record.name} SIZE makes it larger`,
    });
  }
  return [
    ...(limitBytes === undefined ? [] : backendOf({ system, places, record }).growSteps(limitBytes)),
    ...(reserveBytes === undefined ? [] : [policyStep(system, record, { reserveBytes })]),
    ...(ceilingBytes === undefined ? [] : [ceilingStep({ ...record, ceilingBytes }, registry)]),
  ];
}

async function currentLimit(
  record: AccountRecord,
  space: { limitBytes: number | undefined } | undefined,
): Promise<number> {
  if (space === undefined) {
    throw new StorageError('ACCOUNT_UNUSABLE', `the space of ${record.name} is not there`, {
      hint: 'mount its volume first; bakker-storage accounts says what is missing',
    });
  }
  if (space.limitBytes !== undefined) return space.limitBytes;
  throw new StorageError('USAGE', `${record.name} has no limit: a size would take space away`, {
    hint: `if that is meant: bakker-storage quota ${record.name} --limit SIZE`,
  });
}

/** An administrator who gives more than the ceiling has thought higher of it. */
async function raisedCeiling(
  record: AccountRecord,
  { sizeBytes, tools }: { sizeBytes: number; tools: ProvisionTools },
): Promise<Step[]> {
  const { registry } = tools;
  if (record.backend.kind !== 'dir') {
    if (record.ceilingBytes === undefined || record.ceilingBytes >= sizeBytes) return [];
    return [ceilingStep({ ...record, ceilingBytes: sizeBytes }, registry)];
  }
  const { ceilingBytes } = (await readPolicy(registry.system, record)).space;
  if (ceilingBytes === undefined || ceilingBytes >= sizeBytes) return [];
  return [policyStep(registry.system, record, { ceilingBytes: sizeBytes })];
}

function ceilingStep(record: AccountRecord, { system, places }: ProvisionTools['registry']): Step {
  return fileStep(system, {
    title: `note the ceiling of ${record.name}`,
    path: recordFile(places, record.name),
    text: () => renderRecord(record),
    options: () => ({ mode: 0o600 }),
  });
}
