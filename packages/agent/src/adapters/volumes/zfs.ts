import { AgentError } from '../../errors.ts';
import { mustRun, type RunCommand } from './commands.ts';
import type { Provider } from './provider.ts';

/** Snapshots of ZFS datasets. Those of one pool are taken in one moment. */
export function zfsProvider(command: RunCommand): Provider {
  return {
    name: 'zfs',
    look: async ({ primary }) => {
      if (primary.type !== 'zfs') return { fits: false, why: `${primary.type}, not ZFS` };
      const end = await command(['zfs', 'list', '-H', '-o', 'name', primary.source]);
      if (end.status === undefined) return { fits: false, why: 'the zfs command is not installed' };
      if (end.status !== 0) return { fits: false, why: `zfs does not know ${primary.source}` };
      return { fits: true, why: `the ZFS dataset ${primary.source}` };
    },
    review: async () => [],
    prepare: async () => undefined,
    take: async (jobs, context) => {
      const byPool = Map.groupBy(jobs, ({ volume }) => poolOf(volume.primary.source));
      for (const together of byPool.values()) {
        context.signal.throwIfAborted();
        const names = new Set(together.map(({ volume }) => `${volume.primary.source}@${context.name}`));
        for (const name of names) {
          const what = `destroy the snapshot ${name}`;
          context.record({ kind: 'destroy-zfs-snapshot', what, name, busyFile: context.busyFile });
        }
        await mustRun(command, ['zfs', 'snapshot', ...names], { busyFd: context.busyFd });
      }
      return jobs.map((job) => {
        const name = `${job.volume.primary.source}@${context.name}`;
        return {
          job,
          shownRoot: Buffer.from('/'),
          mount: async (at) => {
            const options = 'ro,nodev,nosuid,noexec';
            await mustRun(command, ['mount', '-t', 'zfs', '-o', options, name, at.toString()]);
          },
          check: async () => {
            if (await isThere(name, command)) return;
            throw new AgentError('SNAPSHOT_FAILED', `the snapshot ${name} is gone: somebody destroyed it`, {
              hint: 'run the backup again',
            });
          },
          warnings: [],
          problems: [],
        };
      });
    },
  };
}

/** Destroys a snapshot that `take` made. Idempotent. @throws AgentError SNAPSHOT_FAILED */
export async function destroyZfsSnapshot(name: string, command: RunCommand): Promise<void> {
  if (!/^[^@]+@bakker-[^@]+$/.test(name)) {
    throw new AgentError('SNAPSHOT_FAILED', `${name} is no snapshot of bakker's: it stays`, {
      hint: 'look what it is; nothing of bakker is there to be removed',
    });
  }
  // A pool that is not imported would look like a snapshot that is gone.
  await mustRun(command, ['zfs', 'list', '-H', '-o', 'name', poolOf(name)]);
  if (await isThere(name, command)) await mustRun(command, ['zfs', 'destroy', name]);
}

async function isThere(name: string, command: RunCommand): Promise<boolean> {
  const end = await command(['zfs', 'list', '-H', '-t', 'snapshot', '-o', 'name', name]);
  return end.status === 0;
}

/** The pool that a dataset or a snapshot is in. */
export function poolOf(name: string): string {
  return name.split(/[/@]/, 1)[0] ?? name;
}
