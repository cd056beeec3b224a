import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from './at-exit.ts';
import { runTool } from './processes.ts';
import { makeTempFolder } from './temp-folder.ts';

const SIZE_BYTES = 256 << 20;
const BEHIND = '32M';

/** A file system whose disk promises more than it has: what it has no room for fails when it is written back, not before. */
export interface ThinDisk extends AsyncDisposable {
  readonly folder: string;
  /** From here on every block that was never written fails. */
  exhaust(): void;
  /** There is room again; what failed stays lost. */
  relieve(): void;
}

/** Root. Without a journal, which would be the first to fail and would stop everything. */
export async function mountThinDisk(): Promise<ThinDisk> {
  const temp = await makeTempFolder('thin', '/var/lib');
  chmodSync(temp.path, 0o755);
  const [behind, folder] = [join(temp.path, 'behind'), join(temp.path, 'mounted')];
  const [image, filler] = [join(behind, 'image'), join(behind, 'filler')];
  for (const made of [behind, folder]) mkdirSync(made);
  const forget = atExit(() => {
    for (const mounted of [folder, behind]) spawnSync('umount', ['-l', mounted], { stdio: 'ignore' });
  });
  await runTool('mount', ['-t', 'tmpfs', '-o', `size=${BEHIND}`, 'tmpfs', behind]);
  writeFileSync(image, '');
  truncateSync(image, SIZE_BYTES);
  await runTool('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-E', 'lazy_itable_init=0', image]);
  await runTool('mount', ['-o', 'loop', image, folder]);
  return {
    folder,
    exhaust() {
      // What is there already gets its blocks, so that only new content meets the end.
      spawnSync('sync', ['-f', folder]);
      spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k'], { stdio: 'ignore' });
    },
    relieve: () => rmSync(filler),
    async [Symbol.asyncDispose]() {
      forget();
      for (const mounted of [folder, behind]) await runTool('umount', [mounted]);
      await temp[Symbol.asyncDispose]();
    },
  };
}
