import { isAtOrBelow } from '@bakker/impl-format';
import { lstatSync, realpathSync } from 'node:fs';
import { isPseudo, readMounts } from '@bakker/linux';
import type { Mount } from '@bakker/linux';
import type { SnapshotSettings } from '../../config/snapshot-settings.ts';
import { AgentError } from '../../errors.ts';
import type { FreezePlan, PlannedVolume, SourceToFreeze, Volumes } from '../../ports/volumes.ts';
import { showPath } from '../../source/show-path.ts';
import { chooseProvider, providersToAsk } from '../../volumes/choose-provider.ts';
import type { Choice, Finding } from '../../volumes/choose-provider.ts';
import { planMounts } from '../../volumes/mounted-volumes.ts';
import type { VolumeMount } from '../../volumes/mounted-volumes.ts';
import { btrfsProvider, nestedSubvolumes } from './btrfs.ts';
import { commandsFrom, type RunCommand } from './commands.ts';
import { leftCopy, mirrorProvider, reflinkProvider } from './copy.ts';
import { lvmProvider } from './lvm.ts';
import type { Job, Provider, SourceVolume } from './provider.ts';
import { Freezing, liveFreeze } from './freezing.ts';
import { poolOf, zfsProvider } from './zfs.ts';

export const VIEWS_DIR = '/run/bakker';

export interface VolumesOptions {
  /** Private folder for views. */
  readonly viewsDir?: string;
  readonly command?: RunCommand;
}

/** What a plan means to this adapter. */
export interface PlanParts {
  readonly jobs: readonly { readonly job: Job; readonly provider: Provider }[];
  /** Shown live: read but not frozen, or not read at all. */
  readonly live: readonly VolumeMount[];
  readonly warnings: readonly string[];
}

/** Freezes file systems of this machine. */
export function openVolumes(options: VolumesOptions = {}): Volumes {
  const command = options.command ?? commandsFrom();
  const viewsDir = options.viewsDir ?? VIEWS_DIR;
  const parts = new WeakMap<FreezePlan, PlanParts>();
  return {
    plan: async (sources, { live = [] } = {}) => {
      const made = await makePlan(sources, {
        live: live.map((folder) => realpathSync.native(folder, 'buffer')),
        command,
      });
      parts.set(made.plan, made.parts);
      return made.plan;
    },
    prepare: async (plan, freezeOptions) => {
      const own = parts.get(plan);
      if (own === undefined) throw new Error('a plan of other volumes');
      const problem = plan.volumes.find((volume) => volume.problem !== undefined)?.problem;
      if (problem !== undefined) {
        throw new AgentError('SNAPSHOT_FAILED', problem.message, { hint: problem.hint });
      }
      if (plan.isLive) return liveFreeze(plan.warnings);
      return Freezing.prepare(own, { ...freezeOptions, viewsDir, command });
    },
  };
}

/** `systeminformation` and findmnt read the same file; the kernel's own is quicker and has names as bytes. */
async function makePlan(
  sources: readonly SourceToFreeze[],
  { live: shownLive, command }: { live: readonly Buffer[]; command: RunCommand },
): Promise<{ plan: FreezePlan; parts: PlanParts }> {
  const providers = new Map<string, Provider>(
    [
      lvmProvider(command),
      zfsProvider(command),
      btrfsProvider(command),
      reflinkProvider(),
      mirrorProvider(),
    ].map((provider) => [provider.name, provider]),
  );
  const isRoot = process.getuid?.() === 0;
  const mounts = await mountsWithNested(sources, { command, isRoot });
  const { volumes, others, leftOut } = planMounts(mounts, sources, shownLive);
  const found: { volume: SourceVolume; choice: Choice; job?: Job; provider?: Provider }[] = [];
  for (const [index, volume] of volumes.entries()) {
    const settings = volume.sources.map(({ snapshot }) => snapshot);
    const choice = await choose(volume, { settings, providers, isRoot });
    const provider = providers.get(choice.provider);
    if (provider === undefined || choice.problem !== undefined || settings.length === 0)
      found.push({ volume, choice });
    else found.push({ volume, choice, provider, job: { volume, index } });
  }
  const problems = await review(found);
  const jobs = found.flatMap(({ job, provider }) => (job && provider ? [{ job, provider }] : []));
  const planned = found.map(({ volume, choice, job }): PlannedVolume => {
    const problem = choice.problem ?? (job === undefined ? undefined : problems.get(job));
    return {
      mountPoint: volume.primary.mountPoint,
      type: volume.primary.type,
      device: volume.primary.source,
      mountPoints: volume.mounts.map(({ mountPoint: at }) => at),
      moment: momentOf(volume, choice),
      provider: choice.provider,
      why: choice.why,
      sources: volume.sources.map(({ path }) => path),
      ...(problem === undefined ? {} : { problem }),
    };
  });
  // A subvolume that is read live is seen through the one that it lies in.
  const live = [
    ...others,
    ...found.filter(({ job }) => job === undefined).flatMap(({ volume }) => volume.mounts),
  ].filter(({ isNested }) => !isNested);
  for (const folder of shownLive) live.push(...shownAlone(folder, mounts, live));
  const isLive = jobs.length === 0;
  const warnings = [
    ...leftCopies(found),
    ...(isLive ? [] : readLive(found)),
    ...leftOutWords(found, leftOut),
  ];
  return { plan: { volumes: planned, warnings, isLive }, parts: { jobs, live, warnings } };
}

function momentOf({ primary }: SourceVolume, { provider }: Choice): string | undefined {
  switch (provider) {
    case 'lvm':
    case 'btrfs':
      return `${provider} ${primary.filesystem}`;
    case 'zfs': // all datasets of a pool by one command
      return `${provider} ${poolOf(primary.source)}`;
    case 'reflink':
    case 'mirror':
    case 'none':
      return undefined;
  }
}

/** A folder that is shown live where what is around it is frozen. */
function shownAlone(
  folder: Buffer,
  mounts: readonly VolumeMount[],
  live: readonly VolumeMount[],
): VolumeMount[] {
  const around = mounts
    .filter(({ mountPoint }) => isAtOrBelow(folder, mountPoint))
    .reduce((best, next) => (next.mountPoint.length >= best.mountPoint.length ? next : best));
  return live.includes(around) ? [] : [{ ...around, mountPoint: folder, isNested: false }];
}

async function choose(
  volume: SourceVolume,
  options: {
    settings: readonly SnapshotSettings[];
    providers: ReadonlyMap<string, Provider>;
    isRoot: boolean;
  },
): Promise<Choice> {
  const { settings, providers, isRoot } = options;
  const findings: Finding[] = [];
  for (const name of providersToAsk(settings)) {
    const provider = providers.get(name);
    if (provider === undefined) continue;
    const finding = isRoot ? await provider.look(volume) : { fits: false, why: 'only root can freeze it' };
    findings.push({ provider: name, ...finding });
    if (finding.fits) break;
  }
  return chooseProvider(settings, findings);
}

async function review(
  found: readonly { job?: Job; provider?: Provider }[],
): Promise<Map<Job, { message: string; hint: string }>> {
  const problems = new Map<Job, { message: string; hint: string }>();
  const byProvider = Map.groupBy(found, ({ provider }) => provider);
  for (const [provider, group] of byProvider) {
    const jobs = group.flatMap(({ job }) => (job ? [job] : []));
    for (const { job, problem } of (await provider?.review(jobs)) ?? []) problems.set(job, problem);
  }
  return problems;
}

async function mountsWithNested(
  sources: readonly SourceToFreeze[],
  { command, isRoot }: { command: RunCommand; isRoot: boolean },
): Promise<VolumeMount[]> {
  const mounts = readMounts().map((mount): VolumeMount => ({
    ...mount,
    filesystem: filesystemOf(mount),
    isPseudo: isPseudo(mount.type),
    isNested: false,
  }));
  const isUsed = ({ mountPoint }: VolumeMount): boolean =>
    sources.some(({ path }) => isAtOrBelow(path, mountPoint) || isAtOrBelow(mountPoint, path));
  for (const mount of mounts.filter((candidate) => candidate.type === 'btrfs' && isUsed(candidate))) {
    if (isRoot) mounts.push(...(await nestedSubvolumes(mount, command)));
  }
  return mounts;
}

/** Mountinfo has one number for all of a btrfs; stat has one for each subvolume. */
function filesystemOf({ type, mountPoint, major, minor }: Mount): string {
  const stat = type === 'btrfs' ? lstatSync(mountPoint, { bigint: true, throwIfNoEntry: false }) : undefined;
  return stat === undefined ? `${major}:${minor}` : String(stat.dev);
}

function leftCopies(found: readonly { volume: SourceVolume; choice: Choice }[]): string[] {
  return found.flatMap(({ volume, choice }) => {
    if (choice.provider === 'reflink' || choice.provider === 'mirror') return [];
    const left = leftCopy(volume.primary.mountPoint);
    return left === undefined ? [] : [`${showPath(left)} is a copy that nothing uses any more: remove it`];
  });
}

/** Live beside frozen: not of one moment. Whoever says `none` knows. */
function readLive(found: readonly { volume: SourceVolume; choice: Choice; job?: Job }[]): string[] {
  const isAsked = ({ sources }: SourceVolume): boolean =>
    sources.some(({ snapshot }) => snapshot.provider !== 'none');
  return found.flatMap(({ volume, choice, job }) =>
    job === undefined && isAsked(volume)
      ? [`${showPath(volume.primary.mountPoint)} is not frozen: ${choice.why}`]
      : [],
  );
}

function leftOutWords(
  found: readonly { volume: SourceVolume; job?: Job }[],
  leftOut: readonly VolumeMount[],
): string[] {
  const told = leftOut.filter(({ major, minor }) =>
    found.some(({ volume: { primary } }) => primary.major === major && primary.minor === minor),
  );
  if (told.length === 0) return [];
  const names = told.slice(0, 5).map(({ mountPoint }) => showPath(mountPoint));
  const more = told.length > names.length ? ` and ${told.length - names.length} more` : '';
  const what = told.length === 1 ? 'a subvolume is' : `${told.length} subvolumes are`;
  return [`${what} left out, as one-file-system says: ${names.join(', ')}${more}`];
}
