import { spawnSync } from 'node:child_process';
import { chmod, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atExit } from './at-exit.ts';
import { runTool } from './processes.ts';
import { makeTempFolder } from './temp-folder.ts';

const MAKE = {
  ext4: ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
} as const;

export interface LoopFilesystem extends AsyncDisposable {
  readonly folder: string;
  /** Takes it away, as a disk that is not mounted; `mount` brings it back. */
  unmount(): Promise<void>;
  mount(): Promise<void>;
}

export interface LoopFilesystemOptions {
  readonly type: keyof typeof MAKE;
  readonly sizeBytes: number;
  readonly mkfsArgs?: readonly string[];
}

/** Makes a file system of its own in a sparse image and mounts it (root). Disposing unmounts and removes it. */
export async function mountLoopFilesystem(options: LoopFilesystemOptions): Promise<LoopFilesystem> {
  // A chroot on it needs parents that only root may write to.
  const temp = await makeTempFolder('loop', '/var/lib');
  await chmod(temp.path, 0o755);
  const image = join(temp.path, 'image');
  const folder = join(temp.path, 'mounted');
  const [mkfs, ...args] = MAKE[options.type];
  await using file = await open(image, 'w');
  await file.truncate(options.sizeBytes);
  await runTool(mkfs, [...args, ...(options.mkfsArgs ?? []), image]);
  await mkdir(folder);
  const mount = async (): Promise<void> => {
    await runTool('mount', ['-o', 'loop', image, folder]);
  };
  await mount();
  await rm(join(folder, 'lost+found'), { recursive: true, force: true });
  const forget = atExit(() => {
    spawnSync('umount', ['-l', folder], { stdio: 'ignore' });
  });
  return {
    folder,
    mount,
    unmount: () => unmountPatiently(folder),
    async [Symbol.asyncDispose]() {
      forget();
      await unmountPatiently(folder);
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** A process that was just killed may hold it for a moment. */
async function unmountPatiently(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await runTool('umount', [folder]);
      return;
    } catch (error) {
      if (/not mounted/.test(String(error))) return;
      if (attempt === 100) throw error;
      await delay(50);
    }
  }
}
