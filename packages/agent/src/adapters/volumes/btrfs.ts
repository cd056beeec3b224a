import { isAtOrBelow } from '@bakker/impl-format';
import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { bindMount, hasCode, readMounts } from '@bakker/linux';
import { AgentError } from '../../errors.ts';
import { showPath } from '../../source/show-path.ts';
import type { VolumeMount } from '../../volumes/mounted-volumes.ts';
import { commandFailed, mustRun, type RunCommand } from './commands.ts';
import type { Job, Provider, Snapshot, TakeContext } from './provider.ts';

/** On the file system itself, because a snapshot can't leave it. */
const FOLDER = '.bakker-snapshots';
/** Backups pass over a folder with this in it, ours too. */
export const LEFT_OUT_MARKER = '.nobackup';
/** The inode number of every subvolume's own folder. */
const SUBVOLUME_INODE = 256n;

/** Read-only snapshots of btrfs subvolumes. */
export function btrfsProvider(command: RunCommand): Provider {
  const uuids = new Map<Job, string>();
  return {
    name: 'btrfs',
    look: async ({ primary }) => {
      if (primary.type !== 'btrfs') return { fits: false, why: `${primary.type}, not btrfs` };
      const where = showPath(primary.mountPoint);
      if (lstatSync(primary.mountPoint, { bigint: true }).ino !== SUBVOLUME_INODE)
        return { fits: false, why: `${where} shows a folder, not a whole btrfs subvolume` };
      if (!isText(primary.mountPoint)) return { fits: false, why: `the name ${where} is no UTF-8` };
      if (!isWritable(primary.mountPoint)) return { fits: false, why: `${where} is mounted read-only` };
      const end = await command(['btrfs', '--version']);
      if (end.status === undefined) return { fits: false, why: 'btrfs-progs is not installed' };
      return { fits: true, why: `the btrfs subvolume ${showPath(primary.root)}` };
    },
    review: async () => [],
    prepare: async (jobs) => {
      for (const job of jobs) {
        const at = job.volume.primary.mountPoint.toString();
        const uuid = await uuidAt(at, command);
        if (uuid === undefined) throw notMounted('of the sources', at);
        uuids.set(job, uuid);
      }
      return undefined;
    },
    take: async (jobs, context) => {
      const snapshots: Snapshot[] = [];
      for (const job of jobs) {
        const uuid = uuids.get(job);
        if (uuid === undefined) throw new Error('a job that was not prepared');
        context.signal.throwIfAborted();
        snapshots.push(await takeOne(job, { uuid, context, command }));
      }
      return snapshots;
    },
  };
}

/** The subvolumes below a mounted one that are seen there without being mounted; ours are not among them. */
export async function nestedSubvolumes(mount: VolumeMount, command: RunCommand): Promise<VolumeMount[]> {
  const end = await command(['btrfs', 'subvolume', 'list', mount.mountPoint.toString()]);
  if (end.status !== 0) return [];
  // Paths are bytes, and each line has one.
  const inside = mount.root.length === 1 ? '' : `${mount.root.toString('latin1').slice(1)}/`;
  const found: VolumeMount[] = [];
  for (const line of end.stdout.toString('latin1').split('\n')) {
    const path = /^ID \d+ gen \d+ top level \d+ path (.+)$/.exec(line)?.[1];
    if (path === undefined || !path.startsWith(inside) || path.split('/').includes(FOLDER)) continue;
    const name = Buffer.from(`/${path.slice(inside.length)}`, 'latin1');
    const at = mount.mountPoint.length === 1 ? name : Buffer.concat([mount.mountPoint, name]);
    const seen = lstatSync(at, { bigint: true, throwIfNoEntry: false });
    if (seen?.ino !== SUBVOLUME_INODE) continue; // something else is mounted over it
    const root = Buffer.from(`/${path}`, 'latin1');
    found.push({ ...mount, mountPoint: at, root, filesystem: String(seen.dev), isNested: true });
  }
  return found;
}

/**
 * Deletes a snapshot that `take` made, and the folder that it was in if that is empty. Idempotent.
 *
 * @throws AgentError SNAPSHOT_FAILED
 */
export async function removeBtrfsSnapshot(
  { mountPoint, name, uuid }: { mountPoint: string; name: string; uuid: string },
  command: RunCommand,
): Promise<void> {
  if ((await uuidAt(mountPoint, command)) !== uuid) {
    throw notMounted(uuid, mountPoint);
  }
  const folder = `${mountPoint === '/' ? '' : mountPoint}/${FOLDER}`;
  const snapshot = `${folder}/${name}`;
  const found = lstatSync(snapshot, { bigint: true, throwIfNoEntry: false });
  if (found !== undefined) {
    if (found.ino !== SUBVOLUME_INODE || !name.startsWith('bakker-')) {
      throw new AgentError('SNAPSHOT_FAILED', `${snapshot} is no snapshot of bakker's: it stays`, {
        hint: 'look what it is; nothing of bakker is there to be removed',
      });
    }
    // It is forgotten next, and would be back after a power cut if its deletion were only in memory.
    const argv = ['btrfs', 'subvolume', 'delete', '--commit-after', snapshot];
    const end = await command(argv);
    // One that outlived its bakker may have been about to do the same.
    const isGone = lstatSync(snapshot, { throwIfNoEntry: false }) === undefined;
    if (end.status !== 0 && !isGone) throw commandFailed(argv, end);
    if (end.status !== 0) await commit(mountPoint, command);
  } else await commit(mountPoint, command);
  removeIfEmpty(folder);
}

/** Brings to the disk what another deleted, who may have died before that. */
async function commit(mountPoint: string, command: RunCommand): Promise<void> {
  await mustRun(command, ['btrfs', 'filesystem', 'sync', mountPoint]);
}

async function takeOne(
  job: Job,
  { uuid, context, command }: { uuid: string; context: TakeContext; command: RunCommand },
): Promise<Snapshot> {
  const { primary } = job.volume;
  const mountPoint = primary.mountPoint.toString();
  const name = `${context.name}-${job.index}`;
  const folder = `${mountPoint === '/' ? '' : mountPoint}/${FOLDER}`;
  const snapshot = `${folder}/${name}`;
  const what = `delete the snapshot ${snapshot}`;
  context.record({
    kind: 'remove-btrfs-snapshot',
    what,
    mountPoint,
    name,
    uuid,
    busyFile: context.busyFile,
  });
  makePrivateFolder(folder);
  await mustRun(command, ['btrfs', 'subvolume', 'snapshot', '-r', mountPoint, snapshot], {
    busyFd: context.busyFd,
  });
  return {
    job,
    shownRoot: primary.root,
    mount: async (at) => bindMount(Buffer.from(snapshot), at),
    check: async () => {
      if (statSync(snapshot, { bigint: true, throwIfNoEntry: false })?.ino === SUBVOLUME_INODE) return;
      throw new AgentError('SNAPSHOT_FAILED', `the snapshot ${snapshot} is gone: somebody removed it`, {
        hint: 'run the backup again',
      });
    },
    warnings: [],
    problems: [],
  };
}

function makePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${folder}/${LEFT_OUT_MARKER}`, '');
}

function removeIfEmpty(folder: string): void {
  try {
    if (readdirSync(folder).some((name) => name !== LEFT_OUT_MARKER)) return;
    unlinkSync(`${folder}/${LEFT_OUT_MARKER}`);
    rmdirSync(folder);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTEMPTY')) throw error;
  }
}

/** Of the btrfs that is mounted where `path` is; undefined if another file system is. A nested subvolume is no mount. */
async function uuidAt(path: string, command: RunCommand): Promise<string | undefined> {
  const mount = readMounts()
    .filter(({ mountPoint }) => isAtOrBelow(Buffer.from(path), mountPoint))
    .reduce((best, next) => (next.mountPoint.length >= best.mountPoint.length ? next : best));
  if (mount.type !== 'btrfs') return undefined;
  const argv = ['btrfs', 'filesystem', 'show', '--raw', mount.mountPoint.toString()];
  return /uuid: ([0-9a-f-]{36})/.exec((await mustRun(command, argv)).toString())?.[1];
}

function notMounted(uuid: string, mountPoint: string): AgentError {
  return new AgentError('SNAPSHOT_FAILED', `the btrfs ${uuid} is not mounted at ${mountPoint}`, {
    hint: `mount it, then run bakker recover: a snapshot may be in ${mountPoint}/${FOLDER}; docs/snapshots.md says what to do if it is gone for ever`,
  });
}

function isWritable(folder: Buffer): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function isText(path: Buffer): boolean {
  return Buffer.from(path.toString()).equals(path);
}
