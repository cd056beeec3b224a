import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { parseMounts } from '@bakker/linux';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { makeTempFolder } from '../../../../test/harness/temp-folder.ts';
import { commandsFrom, type RunCommand } from '../../src/adapters/volumes/commands.ts';
import { readGroup, snapshotImage, writeGroup, type FakeGroup } from './fake-lvm.ts';

/** A file system that counts as the logical volume `vg0/data`. */
export interface FakeLvm extends AsyncDisposable {
  readonly folder: string;
  /** Where its programs are. */
  readonly path: string;
  readonly command: RunCommand;
  group(): FakeGroup;
  change(change: (group: FakeGroup) => Partial<FakeGroup>): void;
  snapshots(): string[];
}

export async function withFakeLvm(options: {
  type: 'ext4' | 'xfs';
  isThin?: boolean;
  sizeBytes: number;
}): Promise<FakeLvm> {
  const disk = await mountLoopFilesystem({ type: options.type, sizeBytes: options.sizeBytes });
  const temp = await makeTempFolder('fake-lvm');
  const state = `${temp.path}/group`;
  const device = parseMounts(fs.readFileSync('/proc/self/mountinfo')).find(
    ({ mountPoint }) => mountPoint.toString() === disk.folder,
  )?.source;
  if (device === undefined) throw new Error('the loop device is not mounted');
  const pool = options.isThin === true ? 'pool' : '';
  const data = {
    name: 'data',
    image: join(disk.folder, '../image'),
    device,
    sizeBytes: options.sizeBytes,
    attributes: pool === '' ? '-wi-ao----' : 'Vwi-aotz--',
    origin: '',
    pool,
    dataPercent: pool === '' ? '' : '10.00',
    tags: [],
  };
  const poolVolume = {
    ...data,
    sizeBytes: 100 * 2 ** 20,
    name: 'pool',
    device: '',
    attributes: 'twi-aotz--',
    pool: '',
  };
  writeGroup(state, {
    name: 'vg0',
    freeBytes: 1024 * 2 ** 20,
    slowMs: 0,
    volumes: pool === '' ? [data] : [data, poolVolume],
  });
  for (const program of ['lvs', 'vgs', 'lvcreate', 'lvremove']) {
    const script = join(import.meta.dirname, 'fake-lvm.ts');
    const line = `exec ${process.execPath} --disable-warning=ExperimentalWarning ${script} ${state} ${program} "$@"`;
    // as LVM does with what it inherits
    const closing = '[ "${LVM_REPORT_FD-}" = 3 ] || exec 3>&-';
    fs.writeFileSync(`${temp.path}/${program}`, `#!/bin/sh\n${closing}\n${line}\n`, { mode: 0o755 });
  }
  const path = `${temp.path}:${process.env['PATH'] ?? ''}`;
  return {
    folder: disk.folder,
    path,
    command: commandsFrom(path),
    group: () => readGroup(state),
    change: (change) => {
      const group = readGroup(state);
      writeGroup(state, { ...group, ...change(group) });
    },
    snapshots: () => readGroup(state).volumes.flatMap(({ name, origin }) => (origin === '' ? [] : [name])),
    async [Symbol.asyncDispose]() {
      for (const { name, image, device: made } of readGroup(state).volumes)
        if (image === snapshotImage(state, name)) execFileSync('losetup', ['-d', made]);
      await disk[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}
