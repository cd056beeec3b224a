import { StorageError } from '../errors.ts';
import type { MountFacts } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { BackendParts, SpaceBackend } from './backend.ts';
import { ownFolderStep, removeTreeStep } from './folder-steps.ts';
import { isPlainPath } from './places.ts';
import { sizeText } from './sizes.ts';
import type { Step } from './steps.ts';
import { mustFindUser } from './user-steps.ts';

/** A folder of a shared XFS, limited by a project quota; the project has the number of the account's user. */
export function xfsQuotaSpace({ system, record }: BackendParts): SpaceBackend {
  const folder = accountFolder(record);

  async function volume(): Promise<MountFacts> {
    const found = (await system.mounts())
      .filter(({ mountPoint }) => mountPoint === '/' || `${folder}/`.startsWith(`${mountPoint}/`))
      .reduce<MountFacts | undefined>(
        (best, mount) =>
          best === undefined || mount.mountPoint.length >= best.mountPoint.length ? mount : best,
        undefined,
      );
    if (found?.type !== 'xfs') {
      throw new StorageError(
        'UNSUPPORTED',
        `${record.rootDir} is on ${found?.type ?? 'nothing known'}, not on XFS`,
        {
          hint: 'put the accounts on an XFS, or use --backend dir or lvm',
        },
      );
    }
    if (!found.options.some((option) => option === 'prjquota' || option === 'pquota')) {
      throw new StorageError('UNSUPPORTED', `${found.mountPoint} is mounted without project quotas`, {
        hint: 'add prjquota to its options in fstab and mount it anew (a remount is not enough), or use --backend dir',
      });
    }
    if (isPlainPath(found.mountPoint)) return found;
    throw new StorageError('UNSUPPORTED', `xfs_quota can't be given the mount point ${found.mountPoint}`);
  }

  const projectId = async (): Promise<number> => (await mustFindUser(system, record.name)).uid;

  async function quota(command: string): Promise<string> {
    return system.run(['xfs_quota', '-x', '-c', command, (await volume()).mountPoint]);
  }

  /** In 1 KiB blocks: used, soft limit, hard limit. */
  async function figures(): Promise<{ usedBytes: number; limitBytes: number | undefined }> {
    const text = await quota(`quota -p -N -b -v ${await projectId()}`);
    const [used = NaN, , hard = NaN] = (text.trim().split('\n').at(-1) ?? '')
      .trim()
      .split(/\s+/)
      .slice(1)
      .map(Number);
    if (!Number.isFinite(used) || !Number.isFinite(hard)) return { usedBytes: 0, limitBytes: undefined };
    return { usedBytes: used * 1024, limitBytes: hard === 0 ? undefined : hard * 1024 };
  }

  function limitStep(sizeBytes: number): Step {
    const limit = (id: number | string, bytes: number): string =>
      `limit -p bhard=${Math.ceil(bytes / 1024)}k ${id}`;
    let before: number | undefined;
    return {
      title: `limit ${folder} to ${sizeText(sizeBytes)}`,
      lines: [`xfs_quota -x -c '${limit('PROJECT', sizeBytes)}' MOUNT`],
      isDone: async () =>
        (await system.user(record.name)) !== undefined &&
        (await figures()).limitBytes === Math.ceil(sizeBytes / 1024) * 1024,
      do: async () => {
        before = (await figures()).limitBytes ?? 0;
        await quota(limit(await projectId(), sizeBytes));
      },
      undo: async () => {
        if (before !== undefined) await quota(limit(await projectId(), before));
      },
    };
  }

  return {
    check: async () => {
      await volume();
    },
    rounded: async (sizeBytes) => Math.ceil(sizeBytes / 1024) * 1024,
    provisionSteps: (sizeBytes) => [
      ownFolderStep(system, record, { makes: true }),
      {
        title: `make ${folder} a project of its own`,
        lines: [`xfs_quota -x -c 'project -s -p ${folder} PROJECT' MOUNT`],
        isDone: async () => {
          const user = await system.user(record.name);
          if (user === undefined || (await system.inspect(folder)) === undefined) return false;
          return new RegExp(`^\\s*${user.uid}\\s`).test((await system.try(['lsattr', '-dp', folder])).stdout);
        },
        do: async () => {
          await quota(`project -s -p ${folder} ${await projectId()}`);
        },
      },
      ...(sizeBytes === undefined ? [] : [limitStep(sizeBytes)]),
    ],
    growSteps: (sizeBytes) => [limitStep(sizeBytes)],
    removalSteps: () => [
      {
        title: `lift the limit of ${folder}`,
        lines: [`xfs_quota -x -c 'limit -p bhard=0 PROJECT' MOUNT`],
        // A call that was cut off behind the user's removal had lifted it before.
        isDone: async () =>
          (await system.user(record.name)) === undefined || (await figures()).limitBytes === undefined,
        do: async () => {
          await quota(`limit -p bhard=0 ${await projectId()}`);
        },
      },
      removeTreeStep(system, folder),
    ],
    async space() {
      const facts = await system.space(folder);
      if (facts === undefined) return undefined;
      const { usedBytes, limitBytes } = await figures();
      const freeBytes =
        limitBytes === undefined
          ? facts.freeBytes
          : Math.min(facts.freeBytes, Math.max(0, limitBytes - usedBytes));
      return { usedBytes, limitBytes, freeBytes, volumeBytes: facts.totalBytes };
    },
  };
}
