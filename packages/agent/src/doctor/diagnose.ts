import type { Config } from '../config/config.ts';
import { EXIT_STATUS } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import type { Machine } from '../ports/machine.ts';
import type { Progress } from '../ports/progress.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { PendingUndo } from '../ports/undo-journal.ts';
import type { Volumes } from '../ports/volumes.ts';
import { failed, ok, type Finding } from './finding.ts';
import { checkChannels, checkHostKey, checkIdentity, checkNativeCrypto } from './ssh-checks.ts';
import { checkConfigFile, checkRuntime, checkSources, checkStateFolder } from './server-checks.ts';
import { checkAbilitiesAndClock, checkRuns, checkSpace } from './storage-checks.ts';
import { checkStorageConfig } from './storage-config-check.ts';
import { frozenNow } from '../retain/frozen-now.ts';
import { checkFrozen, checkLastRun } from './last-run-check.ts';
import { checkNotify } from './notify-checks.ts';
import { checkSealing } from './sealing-check.ts';
import { checkServices } from './service-checks.ts';
import { checkSnapshots } from './snapshot-checks.ts';
import { checkPending, checkTimer } from './unattended-checks.ts';

export interface DoctorTools {
  readonly configFile: string;
  readonly stateDir: string;
  readonly machine: Machine;
  readonly clock: Clock;
  readonly progress: Pick<Progress, 'stage'>;
  readonly signal: AbortSignal;
  config(): Promise<Config>;
  account(): Promise<StorageAccount>;
  lastRuns(): Promise<LastRuns>;
  source(): Promise<SourceTree>;
  volumes(): Promise<Volumes>;
  keys(): Promise<KeyFiles>;
  /** What runs have recorded to be undone; undefined if none ever did. */
  pending?(): Promise<readonly PendingUndo[] | undefined>;
  /** Also asks servers that are told of runs. */
  readonly isOnline?: boolean;
}

/**
 * Looks at everything that a backup depends on, changing nothing but a short-lived file here and there. Each check
 * stands alone: one that fails does not keep the others from being done.
 *
 * @throws only the signal's reason
 */
export async function diagnose(tools: DoctorTools): Promise<Finding[]> {
  const { machine, signal } = tools;
  const findings: Finding[] = [];
  const look = async (check: string, act: () => Promise<Finding | readonly Finding[]>): Promise<void> => {
    signal.throwIfAborted();
    tools.progress.stage(`looking at ${check}`);
    try {
      findings.push(...[await act()].flat());
    } catch (error) {
      signal.throwIfAborted();
      findings.push(failed(check, error));
    }
  };

  let config: Config | undefined;
  await look('configuration', async () => {
    config = await tools.config();
    return checkConfigFile(config, machine);
  });
  await look('Node.js', async () => checkRuntime(machine));
  await look('state folder', () => checkStateFolder(tools.stateDir, machine));
  const known = config;
  await look('last run', async () =>
    checkLastRun(await tools.lastRuns(), { config: known, clock: tools.clock }),
  );
  await look('leftovers', async () => {
    const pending = await tools.pending?.();
    return pending === undefined ? [] : checkPending(pending);
  });
  if (known === undefined) return findings;

  if (known.encrypt !== undefined)
    await look('sealing', async () => checkSealing(known.file, await tools.keys()));
  await look('timer', () => checkTimer(known.file, machine));
  await look('services', () => checkServices(known, machine));
  await look('notifications', () => checkNotify(known, { machine, isOnline: tools.isOnline === true }));
  const lookAtSources = async (settings: Config): Promise<void> => {
    await look('sources', () => checkSources(settings, { machine, source: () => tools.source() }));
    if (findings.at(-1)?.result === 'fail') return;
    await look('snapshots', async () =>
      checkSnapshots(settings, { volumes: await tools.volumes(), live: await tools.source() }),
    );
  };
  if (known.sources.length > 0) await lookAtSources(known);
  const isSsh = known.account.kind === 'ssh';
  if (isSsh) {
    await look('key', () => checkIdentity(known.ssh, machine));
    await look('host key', async () => checkHostKey(known.ssh));
    if (known.ssh.transport === 'ssh2') await look('SSH speed', async () => checkNativeCrypto(machine));
  }
  let account: StorageAccount | undefined;
  await look('storage', async () => {
    account = await tools.account();
    // Some storages are reached by the first request only.
    await account.listRuns();
    return ok('storage', `${account.address} answers`);
  });
  const reached = findings.at(-1)?.result !== 'fail' ? account : undefined;
  // An account that wants more channels than there are is refused, and this says why; one that can't be reached is not
  // worth a second try.
  const isReachable = findings.at(-1)?.exitStatus !== EXIT_STATUS.STORAGE_UNREACHABLE;
  if (isSsh && isReachable) await look('channels', () => checkChannels(known, machine));
  await look('retention', async () => {
    // What keeps the state folder from being read was told above.
    const last = await tools.lastRuns().catch(() => undefined);
    return last === undefined ? [] : checkFrozen(frozenNow(last, reached));
  });
  if (reached === undefined) return findings;
  let settings = known;
  await look('settings', async () => {
    const checked = checkStorageConfig(known, await reached.agentConfig());
    settings = checked.config;
    return checked.finding;
  });
  // Only the storage says what is to be backed up.
  if (settings !== known && known.sources.length === 0) await lookAtSources(settings);
  await look('storage abilities', () => checkAbilitiesAndClock(reached));
  await look('runs', async () => checkRuns(reached, await tools.lastRuns().catch(() => undefined)));
  await look('storage space', () => checkSpace(reached));
  return findings;
}
