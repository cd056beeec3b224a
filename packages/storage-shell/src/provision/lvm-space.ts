import { StorageError } from '../errors.ts';
import { activationSteps, endActivationStep } from './activation.ts';
import type { BackendParts, SpaceBackend } from './backend.ts';
import { accountFolder } from './account-record.ts';
import type { Backend } from './account-record.ts';
import { fileStep, folderStep } from './file-steps.ts';
import { ownFolderStep } from './folder-steps.ts';
import { withFstabEntry, withoutFstabEntry } from './fstab.ts';
import { sizeText } from './sizes.ts';
import { isUnused } from './kept-folder.ts';
import type { Step } from './steps.ts';
import { hasSystemd } from './units.ts';

/** On a volume until its file system is made: then, and only then, may it be formatted. */
const NEW_TAG = 'bakker-new';
const TAG = 'bakker';
/** mkfs.xfs refuses less. */
const LEAST_BYTES = { xfs: 300 * 2 ** 20, ext4: 16 * 2 ** 20 } as const;

interface Volume {
  readonly sizeBytes: number;
  readonly tags: readonly string[];
}

/** A logical volume for each account, `VG/bakker-NAME`, with a file system of its own. */
export function lvmSpace(parts: BackendParts, { vg, fs }: Extract<Backend, { kind: 'lvm' }>): SpaceBackend {
  const { system, record, places } = parts;
  const volumeName = `bakker-${record.name}`;
  const path = `${vg}/${volumeName}`;
  const device = `/dev/${path}`;
  const folder = accountFolder(record);
  const entry = { device, mountPoint: folder, type: fs };

  async function volume(): Promise<Volume | undefined> {
    const argv = [
      'lvs',
      '--noheadings',
      '--units',
      'b',
      '--nosuffix',
      '--separator',
      '|',
      '-o',
      'lv_size,lv_tags',
      path,
    ];
    const { status, stdout } = await system.try(argv);
    const [size, tags = ''] = stdout.trim().split('|');
    if (status !== 0 || size === undefined || size === '') return undefined;
    return { sizeBytes: Number(size), tags: tags.split(',').filter((tag) => tag !== '') };
  }

  async function mustFind(): Promise<Volume> {
    const found = await volume();
    if (found !== undefined) return found;
    throw new StorageError('NOT_FOUND', `there is no volume ${path}`, {
      hint: 'lvs lists what is there; a volume group on a missing disk needs vgchange',
    });
  }

  async function group(): Promise<{ freeBytes: number; extentBytes: number }> {
    const argv = [
      'vgs',
      '--noheadings',
      '--units',
      'b',
      '--nosuffix',
      '--separator',
      '|',
      '-o',
      'vg_free,vg_extent_size',
      vg,
    ];
    const { status, stdout } = await system.try(argv);
    const [free, extent] = stdout.trim().split('|').map(Number);
    if (status === 0 && free !== undefined && extent !== undefined)
      return { freeBytes: free, extentBytes: extent };
    throw new StorageError('NOT_FOUND', `there is no volume group ${vg}`, {
      hint: 'vgs lists what is there; vgcreate makes one',
    });
  }

  const mountedFrom = async (): Promise<string | undefined> =>
    (await system.mounts()).findLast(({ mountPoint }) => mountPoint === folder)?.source;

  const hasAccounts = async (): Promise<boolean> => {
    const { status, stdout } = await system.try(['lvs', '--noheadings', '-o', 'lv_tags', vg]);
    const tags = stdout.split(/[\s,]+/);
    return status === 0 && (tags.includes(TAG) || tags.includes(NEW_TAG));
  };

  async function checkRoom(bytes: number): Promise<void> {
    const { freeBytes } = await group();
    if (bytes <= freeBytes) return;
    throw new StorageError(
      'FULL',
      `the volume group ${vg} has ${sizeText(freeBytes)} left, not ${sizeText(bytes)}`,
      {
        hint: 'add a disk (vgextend), or take less',
      },
    );
  }

  function createStep(sizeBytes: number | undefined): Step {
    const argv = [
      ...['lvcreate', '--yes', '--wipesignatures', 'y', '--addtag', NEW_TAG],
      ...['--size', `${sizeBytes ?? 0}b`, '--name', volumeName, vg],
    ];
    let wasThere = true;
    return {
      title: `make the volume ${path}`,
      lines: [argv.join(' ')],
      isDone: async () => (await volume()) !== undefined,
      do: async () => {
        if (sizeBytes === undefined) {
          throw new StorageError('USAGE', `how large should the volume of ${record.name} be?`, {
            hint: 'add --size 10G',
          });
        }
        await checkRoom(sizeBytes);
        wasThere = false;
        await system.run(argv);
      },
      undo: async () => {
        if (!wasThere && (await volume()) !== undefined) await system.run(['lvremove', '--yes', path]);
      },
    };
  }

  function formatStep(): Step {
    // 256 bytes a run and folder need inodes of their own: ext4 gets twice its usual number, and nothing kept for root.
    const argv =
      fs === 'xfs'
        ? ['mkfs.xfs', '-q', '-f', '-m', 'reflink=1', device]
        : ['mkfs.ext4', '-q', '-F', '-m', '0', '-i', '8192', device];
    const mark = ['lvchange', '--deltag', NEW_TAG, '--addtag', TAG, path];
    return {
      title: `make the file system on ${device}`,
      lines: [argv.join(' '), mark.join(' ')],
      isDone: async () => {
        const found = await volume();
        if (found === undefined || found.tags.includes(NEW_TAG)) return false;
        if (found.tags.includes(TAG)) return true;
        throw new StorageError('NAME_TAKEN', `there is a volume ${path} that is none of bakker's`, {
          hint: `if it is an account's, mark it: lvchange --addtag ${TAG} ${path}`,
        });
      },
      do: async () => {
        await system.run(argv);
        await system.run(mark);
      },
    };
  }

  const fstab = (title: string, text: (existing: string) => string | undefined): Step =>
    fileStep(system, {
      title,
      path: places.fstab,
      text: (existing) => text(existing ?? ''),
      options: async () => ({ mode: (await system.inspect(places.fstab))?.mode ?? 0o644 }),
    });

  const daemonReload = async (): Promise<void> => {
    if (await hasSystemd(system)) await system.run(['systemctl', 'daemon-reload']);
  };

  function mountStep(): Step {
    let isOurs = false;
    return {
      title: `mount ${folder}`,
      lines: [`mount ${folder}`],
      isDone: async () => (await mountedFrom()) !== undefined,
      do: async () => {
        if ((await system.list(folder)).length > 0) {
          throw new StorageError('NAME_TAKEN', `${folder} holds files, which the volume would hide`, {
            hint: 'move them away, then run this again',
          });
        }
        await daemonReload();
        isOurs = true;
        await system.run(['mount', folder]);
        await refuseOthersFiles();
        // It would be a foreign name among the runs; e2fsck makes it when it is needed.
        await system.removeEmptyFolder(`${folder}/lost+found`);
      },
      undo: async () => {
        if (isOurs && (await mountedFrom()) !== undefined) await system.run(['umount', folder]);
      },
    };
  }

  /** Mounted before, it would have said which numbers the user is to have. */
  async function refuseOthersFiles(): Promise<void> {
    const facts = await system.inspect(folder);
    const user = await system.user(record.name);
    if (facts === undefined || facts.uid === user?.uid || isUnused(await system.list(folder))) return;
    throw new StorageError('NAME_TAKEN', `${device} holds files of user ${facts.uid}`, {
      hint: `mkdir -p ${folder}; mount ${device} ${folder}; then run this again, and ${record.name} gets their number`,
    });
  }

  const fsGrowArgv = fs === 'xfs' ? ['xfs_growfs', folder] : ['resize2fs', device];

  return {
    async check() {
      const { extentBytes } = await group();
      if (!(extentBytes > 0)) throw new StorageError('FAILED', `the volume group ${vg} can't be read`);
    },
    rounded: async (sizeBytes) => {
      const { extentBytes } = await group();
      return Math.ceil(sizeBytes / extentBytes) * extentBytes;
    },
    provisionSteps: (sizeBytes) => {
      if (sizeBytes !== undefined && sizeBytes < LEAST_BYTES[fs]) {
        throw new StorageError('USAGE', `a volume with ${fs} needs at least ${sizeText(LEAST_BYTES[fs])}`);
      }
      return [
        createStep(sizeBytes),
        formatStep(),
        // Root's: while the volume is not mounted, the account can write nothing to the file system below.
        folderStep(system, folder, 0o700),
        fstab(`note ${device} in ${places.fstab}`, (text) => withFstabEntry(text, entry)),
        ...activationSteps(system, vg),
        mountStep(),
        ownFolderStep(system, record, { makes: false }),
      ];
    },
    growSteps: (sizeBytes) => {
      const argv = ['lvextend', '--size', `${sizeBytes}b`, path];
      return [
        {
          title: `enlarge the volume ${path}`,
          lines: [argv.join(' ')],
          isDone: async () => (await mustFind()).sizeBytes >= sizeBytes,
          do: async () => {
            await checkRoom(sizeBytes - (await mustFind()).sizeBytes);
            await system.run(argv);
          },
        },
        {
          title: `enlarge the file system on ${device}`,
          lines: [fsGrowArgv.join(' ')],
          // Asking twice does nothing, and a call before this one may have come only so far.
          isDone: async () => false,
          do: async () => {
            if ((await mountedFrom()) === undefined) {
              throw new StorageError('ACCOUNT_UNUSABLE', `${folder} is not mounted`, {
                hint: `mount ${folder}`,
              });
            }
            await system.run(fsGrowArgv);
          },
        },
      ];
    },
    removalSteps: () => [
      {
        title: `unmount ${folder}`,
        lines: [`umount ${folder}`],
        isDone: async () => (await mountedFrom()) === undefined,
        do: async () => {
          await system.run(['umount', folder]);
        },
      },
      fstab(`take ${device} out of ${places.fstab}`, (text) => withoutFstabEntry(text, entry)),
      {
        title: `delete the volume ${path}`,
        lines: [`lvremove --yes ${path}`],
        isDone: async () => (await volume()) === undefined,
        do: async () => {
          await daemonReload();
          await system.run(['lvremove', '--yes', path]);
        },
      },
      endActivationStep(system, vg, hasAccounts),
      {
        title: `remove the empty folder ${folder}`,
        lines: [`rmdir ${folder}`],
        isDone: async () => (await system.inspect(folder)) === undefined,
        do: async () => {
          await system.removeEmptyFolder(folder);
        },
      },
    ],
    async space() {
      const found = await volume();
      if (found === undefined || (await mountedFrom()) === undefined) return undefined;
      const facts = await system.space(folder);
      if (facts === undefined) return undefined;
      return {
        limitBytes: found.sizeBytes,
        usedBytes: facts.totalBytes - facts.freeBytes,
        freeBytes: facts.freeBytes,
        volumeBytes: facts.totalBytes,
      };
    },
  };
}
