import { spawnSync } from 'node:child_process';
import { statfsSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { startStorageMachine } from '../../../../test/harness/storage-machine.ts';
import type { StorageMachine } from '../../../../test/harness/storage-machine.ts';

async function statesOf(machine: StorageMachine, name: string): Promise<unknown> {
  const { stdout } = await machine.run(['accounts', '--json']);
  const accounts = JSON.parse(stdout) as { account: string; states: string[] }[];
  return accounts.find(({ account }) => account === name)?.states;
}

t.test('an account is full when only the reserve is left that nobody had to set', async (t) => {
  await using machine = await startStorageMachine();
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 64 << 20 });
  const name = machine.newName();
  const key = await machine.newKey();
  const made = await machine.run(['provision', name, '--root', disk.folder, '--key', `${key.file}.pub`]);
  t.equal(made.status, 0, made.stderr);
  t.same(await statesOf(machine, name), ['ok']);
  const { blocks, bavail, bsize } = statfsSync(disk.folder);
  writeFileSync(`${disk.folder}/filler`, Buffer.alloc((bavail - Math.floor(blocks / 20)) * bsize, 1));
  t.same(await statesOf(machine, name), ['full']);
});

t.test('an account whose disk is dead is told of, and hides no other', async (t) => {
  await using machine = await startStorageMachine();
  await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 320 << 20 });
  const [dead, other] = [machine.newName(), machine.newName()];
  for (const words of [[dead, '--root', disk.folder], [other]]) {
    const made = await machine.run(['provision', ...words]);
    t.equal(made.status, 0, made.stderr);
  }
  spawnSync('xfs_io', ['-x', '-c', 'shutdown', disk.folder]);
  t.same(await statesOf(machine, dead), ['absent']);
  t.same(await statesOf(machine, other), ['ok']);
});
