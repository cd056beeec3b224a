import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { openWorld, mountsBelow, source } from '../../packages/agent/test/volumes/world.ts';
import { freeze } from '../../packages/agent/src/volumes/freeze.ts';
import { withFakeLvm } from '../../packages/agent/test/volumes/with-fake-lvm.ts';

t.setTimeout(600_000);

await t.test('killed at any moment, a freezing is undone by recover', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 24 * 2 ** 20 });
  await using btrfs = await mountLoopFilesystem({ type: 'btrfs', sizeBytes: 128 * 2 ** 20 });
  await using xfs = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 320 * 2 ** 20 });
  await using world = await openWorld({ command: lvm.command });
  const folders = [lvm.folder, btrfs.folder, xfs.folder].map((folder) => `${folder}/data`);
  for (const folder of folders) {
    fs.mkdirSync(`${folder}/sub`, { recursive: true });
    fs.writeFileSync(`${folder}/sub/file`, 'kept');
  }
  // lvcreate is still at work when bakker is dead.
  lvm.change(() => ({ slowMs: 100 }));
  const leftovers = (): string[] => [
    ...lvm.snapshots(),
    ...mountsBelow(world.viewsDir),
    ...(fs.existsSync(`${btrfs.folder}/.bakker-snapshots`) ? ['.bakker-snapshots'] : []),
    ...(fs.existsSync(world.viewsDir) ? fs.readdirSync(world.viewsDir) : []),
  ];
  const run = (moment: number) =>
    spawnSync(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, '../../packages/agent/test/volumes/freeze-and-die.ts'),
        `${world.folder}/state`,
        world.viewsDir,
        lvm.path,
        String(moment),
        ...folders,
      ],
      { encoding: 'utf8' },
    );

  let deaths = 0;
  let left = 0;
  for (let moment = 1; ; moment++) {
    const { signal, status, stdout, stderr } = run(moment);
    if (signal === null) {
      t.equal(status, 0, stderr);
      t.equal(Number(stdout), moment - 1, 'it died at every moment before');
      break;
    }
    deaths++;
    if (leftovers().length > 0) left++;
    t.strictSame(await world.recover(), [], `nothing is left to undo after death ${moment}`);
    t.strictSame(leftovers(), [], `nothing is left on the machine after death ${moment}`);
  }
  t.ok(deaths > 20, `${deaths} deaths`);
  t.ok(left > 12, `after ${left} of them, there was something to remove`);

  const plan = await world.volumes.plan(folders.map((folder) => source(folder)));
  await using view = await freeze(world.volumes, plan, {
    journal: world.journal,
    signal: new AbortController().signal,
  });
  for (const folder of folders)
    t.equal(fs.readFileSync(`${view.root.toString()}${folder}/sub/file`, 'utf8'), 'kept');
});

await t.test('recover twice, and of things that are not ours, changes nothing', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 24 * 2 ** 20 });
  await using world = await openWorld({ command: lvm.command });
  const undo = { group: 'vg0', name: 'bakker-x-0', origin: 'data', busyFile: '/nowhere/busy', what: 'x' };
  const made = { image: '', device: '', sizeBytes: 0, attributes: 'swi-a-s---', pool: '', dataPercent: '0' };
  lvm.change(({ volumes }) => ({
    volumes: [
      ...volumes,
      { ...made, name: 'bakker-x-0', origin: 'data', tags: [] },
      { ...made, name: 'bakker-y-0', origin: 'other', tags: ['bakker'] },
    ],
  }));
  world.journal.record({ kind: 'remove-lvm-snapshot', ...undo });
  world.journal.record({ kind: 'remove-lvm-snapshot', ...undo, name: 'bakker-y-0' });
  world.journal.record({ kind: 'remove-lvm-snapshot', ...undo, name: 'bakker-gone-0' });
  world.journal.record({ kind: 'remove-lvm-snapshot', ...undo, group: 'vg9' });
  const stays = ['bakker-x-0 without our tag', 'bakker-y-0 of another volume', 'the group that is not there'];
  t.equal((await world.recover()).length, stays.length, 'what is gone is settled, the rest is not');
  t.equal((await world.recover()).length, stays.length);
  t.strictSame(lvm.snapshots(), ['bakker-x-0', 'bakker-y-0']);
});
