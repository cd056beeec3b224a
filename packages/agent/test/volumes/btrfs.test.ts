import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { removeBtrfsSnapshot } from '../../src/adapters/volumes/btrfs.ts';
import { commandsFrom } from '../../src/adapters/volumes/commands.ts';

t.test('a snapshot that was removed is not back after a power cut, whoever removed it', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'btrfs', sizeBytes: 128 * 2 ** 20 });
  const mountPoint = disk.folder;
  const btrfs = (...args: string[]): string => execFileSync('btrfs', args, { encoding: 'utf8' });
  const uuid = /uuid: (\S+)/.exec(btrfs('filesystem', 'show', '--raw', mountPoint))?.[1] ?? '';
  /** What a machine without power finds: the image, without all that the kernel still holds back. */
  const onDisk = (): string => {
    const copy = path.join(mountPoint, '../copy');
    fs.copyFileSync(path.join(mountPoint, '../image'), copy);
    return btrfs('inspect-internal', 'dump-tree', '-t', 'root', copy);
  };
  for (const name of ['bakker-1f-0', 'bakker-2f-0']) {
    const snapshot = `${mountPoint}/.bakker-snapshots/${name}`;
    fs.mkdirSync(path.dirname(snapshot), { recursive: true });
    btrfs('subvolume', 'snapshot', '-r', mountPoint, snapshot);
    btrfs('filesystem', 'sync', mountPoint);
    t.ok(onDisk().includes(name));
    if (name === 'bakker-2f-0') btrfs('subvolume', 'delete', snapshot);
    await removeBtrfsSnapshot({ mountPoint, name, uuid }, commandsFrom());
    t.notOk(onDisk().includes(name), name);
  }
});
