import fs from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { providerContract } from '../../packages/agent/test/volumes/provider-contract.ts';
import { withFakeLvm } from '../../packages/agent/test/volumes/with-fake-lvm.ts';

t.setTimeout(600_000);

await t.test('btrfs', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'btrfs', sizeBytes: 256 * 2 ** 20 });
  const snapshots = async () => (fs.existsSync(`${disk.folder}/.bakker-snapshots`) ? ['left'] : []);
  await providerContract(t, { provider: 'btrfs', folder: disk.folder, snapshots });
});

await t.test('reflink on XFS', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 320 * 2 ** 20 });
  await providerContract(t, { provider: 'reflink', folder: disk.folder, snapshots: async () => [] });
});

await t.test('reflink on btrfs', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'btrfs', sizeBytes: 256 * 2 ** 20 });
  await providerContract(t, { provider: 'reflink', folder: disk.folder, snapshots: async () => [] });
});

await t.test('mirror on ext4', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 64 * 2 ** 20 });
  await providerContract(t, { provider: 'mirror', folder: disk.folder, snapshots: async () => [] });
});

for (const type of ['ext4', 'xfs'] as const) {
  for (const isThin of [false, true]) {
    await t.test(`${isThin ? 'a thin' : 'a thick'} logical volume with ${type}`, async (t) => {
      await using lvm = await withFakeLvm({ type, isThin, sizeBytes: (type === 'xfs' ? 320 : 48) * 2 ** 20 });
      const { folder, command } = lvm;
      await providerContract(t, { provider: 'lvm', folder, command, snapshots: async () => lvm.snapshots() });
    });
  }
}
