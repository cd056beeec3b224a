import { readFileSync } from 'node:fs';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, mountFilesystem } from '@bakker/linux';
import { AgentError } from '../../errors.ts';
import type { UndoStep } from '../../ports/undo-journal.ts';
import type { FreezeProblem } from '../../ports/volumes.ts';
import {
  alwaysEnoughBytes,
  enoughBytes,
  isThin,
  LVM_FIELDS,
  parseLvmReport,
  showBytes,
  snapshotSizeBytes,
  stateOf,
  whyNoSnapshot,
} from '../../volumes/lvm-report.ts';
import type { LogicalVolume } from '../../volumes/lvm-report.ts';
import { commandFailed, mustRun, type RunCommand } from './commands.ts';
import type { Job, Provider, Snapshot, SourceVolume, TakeContext } from './provider.ts';

export const LVM_TAG = 'bakker';
/**
 * What each file system needs to be seen a second time. Their logs are replayed into the snapshot (never into the
 * volume), so neither `norecovery` nor `noload`: docs/snapshots.md says why.
 */
const OPTIONS: Readonly<Record<string, string>> = { ext2: '', ext3: '', ext4: '', xfs: 'nouuid' };
/** A thin pool this full may run out during a run, for all that lies in it. */
const FULLEST_POOL_PERCENT = 95;
const SECTOR_BYTES = 512;

/** Thick and thin snapshots of LVM. */
export function lvmProvider(command: RunCommand): Provider {
  /** Looked up while services still run. */
  const origins = new Map<Job, LogicalVolume>();
  return {
    name: 'lvm',
    look: async (volume) => {
      const { type } = volume.primary;
      const found = await logicalVolumeOf(volume, command);
      if (typeof found === 'string') return { fits: false, why: found };
      const kind = isThin(found) ? `a thin volume in ${found.group}/${found.pool}` : 'a logical volume';
      const name = `${kind}, ${nameOf(found)}`;
      if (type === 'btrfs') return { fits: false, why: `${name}, but a btrfs must not be seen twice` };
      if (!(type in OPTIONS)) return { fits: false, why: `${name}, but with ${type} on it` };
      const why = whyNoSnapshot(found);
      return why === undefined ? { fits: true, why: name } : { fits: false, why: `${name}, but ${why}` };
    },
    review: async (jobs) => {
      const problems: { job: Job; problem: FreezeProblem }[] = [];
      const leftBytes = new Map<string, number>();
      for (const job of jobs) {
        const origin = await originOf(job, command);
        origins.set(job, origin);
        const problem = isThin(origin)
          ? fullPool(await poolOf(origin, command))
          : noRoom(job, origin, leftBytes);
        if (problem !== undefined) problems.push({ job, problem });
      }
      return problems;
    },
    prepare: async () => undefined,
    take: async (jobs, context) => {
      const snapshots: Snapshot[] = [];
      for (const job of jobs) {
        const origin = origins.get(job);
        if (origin === undefined) throw new Error('a job that was not reviewed');
        context.signal.throwIfAborted();
        snapshots.push(await takeOne(job, { origin, context, command }));
      }
      return snapshots;
    },
  };
}

/**
 * Removes a snapshot that `take` made. Idempotent; anything that is not ours stays.
 *
 * @throws AgentError SNAPSHOT_FAILED
 */
export async function removeLvmSnapshot(
  { group, name, origin }: { group: string; name: string; origin: string },
  command: RunCommand,
): Promise<void> {
  const [found] = await report(command, `vg_name="${group}" && lv_name="${name}"`);
  if (found === undefined) {
    const argv = ['vgs', '--noheadings', '-o', 'vg_name', '-S', `vg_name="${group}"`];
    const groups = (await mustRun(command, argv)).toString().trim();
    if (groups !== '') return;
    throw new AgentError('SNAPSHOT_FAILED', `the volume group ${group} is not there`, {
      hint: `once its disks are back, bakker recover removes ${group}/${name}; docs/snapshots.md says what to do if they never are`,
    });
  }
  // LVM makes a volume, writes that down, and only then turns it into a snapshot: a power cut between leaves one of nothing.
  const isHalfMade = found.origin === '';
  const isOurs = found.tags.includes(LVM_TAG) && name.startsWith('bakker-');
  if (!isOurs || (found.origin !== origin && !isHalfMade)) {
    throw new AgentError(
      'SNAPSHOT_FAILED',
      `${nameOf(found)} is no snapshot of bakker's (of "${found.origin}", tags "${found.tags.join(',')}"): it stays`,
      { hint: 'look what it is; nothing of bakker is there to be removed' },
    );
  }
  const argv = ['lvremove', '--yes', '--quiet', nameOf(found)];
  const end = await command(argv);
  if (end.status === 0) return;
  // One that outlived its bakker may have been about to do the same.
  if ((await find(command, group, name)) === undefined) return;
  const error = commandFailed(argv, end);
  throw /in use/.test(end.stderr)
    ? new AgentError('SNAPSHOT_FAILED', `${nameOf(found)} is still in use: ${end.stderr.trim()}`, {
        hint: 'another program, or a container that was started during the run, may have it mounted; end it, then run bakker recover',
      })
    : error;
}

export function lvmUndoStep(
  { group, name, origin }: { group: string; name: string; origin: string },
  busyFile: string,
): UndoStep {
  const what = `remove the snapshot ${group}/${name} of ${origin}`;
  return { kind: 'remove-lvm-snapshot', what, group, name, origin, busyFile };
}

async function takeOne(
  job: Job,
  { origin, context, command }: { origin: LogicalVolume; context: TakeContext; command: RunCommand },
): Promise<Snapshot> {
  const name = `${context.name}-${job.index}`;
  context.record(lvmUndoStep({ group: origin.group, name, origin: origin.name }, context.busyFile));
  const writtenBefore = writtenBytes(origin);
  const size = isThin(origin) ? ['-kn'] : ['--size', `${wantedBytes(job, origin)}b`];
  const argv = ['lvcreate', '--yes', '--quiet', '--snapshot', '--name', name, '--addtag', LVM_TAG];
  await mustRun(command, [...argv, ...size, nameOf(origin)], { busyFd: context.busyFd });
  return {
    job,
    shownRoot: Buffer.from('/'),
    mount: async (at) => {
      const { type } = job.volume.primary;
      const made = await find(command, origin.group, name);
      if (made === undefined || stateOf(made) !== 'good') {
        throw new AgentError(
          'SNAPSHOT_FAILED',
          `${origin.group}/${name} is not usable after lvcreate (${made?.attributes ?? 'not there'})`,
          { hint: 'see lvs and the kernel log' },
        );
      }
      const flags = MS_RDONLY | MS_NODEV | MS_NOEXEC | MS_NOSUID;
      await mountFilesystem({ source: made.path, at, type, flags, options: OPTIONS[type] ?? '' });
    },
    check: () => checkOne({ origin, name, writtenBefore, command }),
    warnings: [],
    problems: [],
  };
}

async function checkOne(parts: {
  origin: LogicalVolume;
  name: string;
  writtenBefore: number;
  command: RunCommand;
}): Promise<void> {
  const { origin, name, writtenBefore, command } = parts;
  const now = await find(command, origin.group, name);
  const what = `the snapshot ${origin.group}/${name} of ${origin.name}`;
  if (now === undefined) {
    throw new AgentError('SNAPSHOT_FAILED', `${what} is gone: somebody removed it`, {
      hint: 'run the backup again',
    });
  }
  if (isThin(now)) {
    const pool = await poolOf(now, command);
    if (pool !== undefined && isPoolBroken(pool)) throw poolBroke(pool, what);
  }
  const state = stateOf(now);
  const isFull = !isThin(now) && (now.dataPercent ?? 0) >= 100;
  if (state === 'good' && !isFull) return;
  if (state !== 'invalid' && !isFull) {
    throw new AgentError('SNAPSHOT_FAILED', `${what} can't be read any more (${now.attributes})`, {
      hint: 'see lvs and the kernel log',
    });
  }
  const written = Math.max(writtenBytes(origin) - writtenBefore, 0);
  const enough = enoughBytes(origin, { sizeBytes: now.sizeBytes, writtenBytes: written });
  throw new AgentError(
    'SNAPSHOT_FAILED',
    `${what} overflowed: it had ${showBytes(now.sizeBytes)}, and ${showBytes(written)} were written to the volume meanwhile; ${showBytes(enough)} would have been enough until now`,
    {
      hint: `set "lvm-size" to ${inMebibytes(enough)}M or more (${inMebibytes(alwaysEnoughBytes(origin))}M can't overflow), or back up when less is written`,
    },
  );
}

/** Of all sources on the volume, the one that wants most: the others have room in that, too. */
function wantedBytes({ volume }: Job, origin: LogicalVolume): number {
  const wanted = volume.sources.map(({ snapshot }) => snapshotSizeBytes(snapshot.lvmSize, origin));
  return Math.max(...wanted);
}

function noRoom(job: Job, origin: LogicalVolume, leftBytes: Map<string, number>): FreezeProblem | undefined {
  const { group, groupFreeBytes } = origin;
  const needed = wantedBytes(job, origin);
  const left = leftBytes.get(group) ?? groupFreeBytes;
  leftBytes.set(group, left - needed);
  if (needed <= left) return undefined;
  return {
    message: `the volume group ${group} has ${showBytes(Math.max(left, 0))} left, but the snapshot of ${nameOf(origin)} needs ${showBytes(needed)}`,
    hint: 'set a smaller "lvm-size", or give the group more room (vgextend, or a smaller volume)',
  };
}

function fullPool(pool: LogicalVolume | undefined): FreezeProblem | undefined {
  if (pool === undefined) return undefined;
  const fullest = Math.max(pool.dataPercent ?? 0, pool.metadataPercent ?? 0);
  if (fullest < FULLEST_POOL_PERCENT) return undefined;
  return {
    message: `the thin pool ${nameOf(pool)} is ${fullest} % full: a snapshot could stop everything in it`,
    hint: 'extend the pool (lvextend), or remove what is not needed',
  };
}

function isPoolBroken(pool: LogicalVolume): boolean {
  return stateOf(pool) === 'failed' || (pool.dataPercent ?? 0) >= 100 || (pool.metadataPercent ?? 0) >= 100;
}

function poolBroke(pool: LogicalVolume, what: string): AgentError {
  const { dataPercent = 0, metadataPercent = 0, attributes } = pool;
  return new AgentError(
    'SNAPSHOT_FAILED',
    `${what} lies in the thin pool ${nameOf(pool)}, which is full (data ${dataPercent} %, metadata ${metadataPercent} %, ${attributes})`,
    { hint: `extend the pool at once: lvextend --size +${inMebibytes(pool.sizeBytes / 4)}M ${nameOf(pool)}` },
  );
}

async function logicalVolumeOf(
  { primary }: SourceVolume,
  command: RunCommand,
): Promise<LogicalVolume | string> {
  const argv = lvsArgv(`lv_kernel_major=${primary.major} && lv_kernel_minor=${primary.minor}`);
  const end = await command(argv);
  if (end.status === undefined) return 'LVM is not installed';
  if (end.status !== 0) throw commandFailed(argv, end);
  const [found] = parsed(end.stdout);
  return found ?? `${primary.source} is no logical volume`;
}

async function originOf({ volume }: Job, command: RunCommand): Promise<LogicalVolume> {
  const found = await logicalVolumeOf(volume, command);
  if (typeof found !== 'string') return found;
  throw new AgentError('SNAPSHOT_FAILED', `${volume.primary.mountPoint.toString()}: ${found}`, {
    hint: 'choose another "snapshot" (docs/snapshots.md)',
  });
}

async function poolOf(
  { group, pool }: LogicalVolume,
  command: RunCommand,
): Promise<LogicalVolume | undefined> {
  return find(command, group, pool);
}

async function find(command: RunCommand, group: string, name: string): Promise<LogicalVolume | undefined> {
  const [found] = await report(command, `vg_name="${group}" && lv_name="${name}"`);
  return found;
}

async function report(command: RunCommand, select: string): Promise<LogicalVolume[]> {
  return parsed(await mustRun(command, lvsArgv(select)));
}

function lvsArgv(select: string): string[] {
  return [
    'lvs',
    '--reportformat',
    'json',
    '--units',
    'b',
    '--nosuffix',
    '-o',
    LVM_FIELDS.join(','),
    '-S',
    select,
  ];
}

function parsed(stdout: Buffer): LogicalVolume[] {
  const volumes = parseLvmReport(stdout.toString());
  if (volumes !== undefined) return volumes;
  throw new AgentError('SNAPSHOT_FAILED', 'what lvs printed can not be understood', {
    hint: 'see what "lvs --reportformat json" prints',
  });
}

/** To the visible volume since it was activated, by all that the kernel counts; 0 where it does not tell. */
function writtenBytes({ major, minor }: LogicalVolume): number {
  try {
    const fields = readFileSync(`/sys/dev/block/${major}:${minor}/stat`, 'latin1').trim().split(/\s+/);
    return Number(fields[6] ?? 0) * SECTOR_BYTES;
  } catch {
    return 0;
  }
}

function nameOf({ group, name }: LogicalVolume): string {
  return `${group}/${name}`;
}

function inMebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
