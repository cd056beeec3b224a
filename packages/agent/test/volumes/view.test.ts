import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import { bindMount } from '@bakker/linux';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import { viewBelow } from '../../src/adapters/source/source-view.ts';
import { freeze } from '../../src/volumes/freeze.ts';
import { mountsBelow, openWorld, source } from './world.ts';

t.setTimeout(600_000);
const btrfs = () => mountLoopFilesystem({ type: 'btrfs', sizeBytes: 256 * 2 ** 20 });
const signal = () => new AbortController().signal;

await t.test('file systems are mounted in the view as they are in the live tree', async (t) => {
  await using outer = await btrfs();
  await using inner = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 24 * 2 ** 20 });
  await using world = await openWorld();
  const top = outer.folder;
  for (const name of ['data', 'live', 'twice', 'mem', '\u00e9']) fs.mkdirSync(`${top}/${name}`);
  fs.writeFileSync(`${top}/data/file`, 'frozen');
  fs.writeFileSync(`${inner.folder}/file`, 'live');
  // As under systemd: what is mounted at one of a group appears at all of it.
  execFileSync('mount', ['--make-shared', top]);
  const hidden = `${top}/live`;
  fs.writeFileSync(`${hidden}/hidden`, 'below the mount');
  bindMount(Buffer.from(inner.folder), Buffer.from(hidden));
  bindMount(Buffer.from(`${top}/data`), Buffer.from(`${top}/twice`));
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', `${top}/mem`]);
  fs.writeFileSync(`${top}/mem/file`, 'in memory');
  const mountedBefore = mountsBelow(top);
  try {
    for (const oneFilesystem of [true, false]) {
      const sources = [source(top, { oneFilesystem }), source('/etc')];
      const plan = await world.volumes.plan(sources);
      const providers = plan.volumes.map(
        ({ mountPoint, provider }) => `${mountPoint.toString()} ${provider}`,
      );
      t.ok(providers.includes(`${top} btrfs`), providers.join());
      t.ok(providers.includes('/ none'));
      t.equal(providers.includes(`${top}/live none`), !oneFilesystem, 'read only if it is reached into');
      await using view = await freeze(world.volumes, plan, { journal: world.journal, signal: signal() });
      const root = `${view.root.toString()}${top}`;
      fs.writeFileSync(`${top}/data/file`, 'changed');
      t.equal(fs.readFileSync(`${root}/data/file`, 'utf8'), 'frozen');
      t.equal(fs.readFileSync(`${root}/live/file`, 'utf8'), 'live');
      t.equal(fs.readFileSync(`${root}/mem/file`, 'utf8'), 'in memory');
      t.notOk(fs.existsSync(`${root}/live/hidden`), 'what lies below a mount is not seen');
      t.equal(
        fs.readFileSync(`${root}/twice/file`, 'utf8'),
        'frozen',
        'a bind mount shows the same snapshot',
      );
      for (const name of ['data', 'live', 'mem'])
        t.throws(() => fs.writeFileSync(`${root}/${name}/x`, ''), { code: 'EROFS' }, name);
      t.ok(
        view.warnings.some((words) => /^\/ is not frozen: /.test(words)),
        view.warnings.join(),
      );
      t.strictSame(mountsBelow(top), mountedBefore, 'nothing is mounted in the live tree');
      const survey = async (at: string): Promise<string[]> => {
        const tree = openSourceTree(viewBelow(Buffer.from(at)));
        const { filesystems } = await tree.survey({ sources, onProblem: () => undefined });
        tree.close();
        return filesystems.map(({ mountPoint, type }) => `${mountPoint.toString()} ${type}`);
      };
      t.strictSame(await survey(view.root.toString()), await survey('/'), 'as a guard compares them');
      fs.writeFileSync(`${top}/data/file`, 'frozen');
    }
    t.strictSame(mountsBelow(top), mountedBefore, 'undoing unmounts nothing of the live tree');
    t.strictSame(world.mounts(), []);
  } finally {
    for (const name of ['live', 'twice', 'mem']) execFileSync('umount', [`${top}/${name}`]);
  }
});

await t.test('nested subvolumes are frozen if they hold sources, and told of if not', async (t) => {
  await using disk = await btrfs();
  await using world = await openWorld();
  const top = disk.folder;
  for (const name of ['nested', 'nested/deeper']) {
    execFileSync('btrfs', ['-q', 'subvolume', 'create', `${top}/${name}`]);
    fs.writeFileSync(`${top}/${name}/file`, name);
  }
  const left = await world.volumes.plan([source(top)]);
  t.match(left.warnings, [
    /^2 subvolumes are left out, as one-file-system says: .*nested, .*nested\/deeper$/,
  ]);
  t.equal(left.volumes.length, 1);
  for (const sources of [[source(top, { oneFilesystem: false })], [source(`${top}/nested/deeper`)]]) {
    const plan = await world.volumes.plan(sources);
    await using view = await freeze(world.volumes, plan, { journal: world.journal, signal: signal() });
    fs.writeFileSync(`${top}/nested/deeper/file`, 'changed');
    const seen = fs.readFileSync(`${view.root.toString()}${top}/nested/deeper/file`, 'utf8');
    t.equal(seen, 'nested/deeper');
    fs.writeFileSync(`${top}/nested/deeper/file`, 'nested/deeper');
  }
  const list = execFileSync('btrfs', ['subvolume', 'list', top], { encoding: 'utf8' });
  t.equal(list.trim().split('\n').length, 2, 'no snapshot is left');
});

await t.test('a view that somebody uses is taken away all the same', async (t) => {
  await using disk = await btrfs();
  await using world = await openWorld();
  fs.writeFileSync(`${disk.folder}/file`, 'x');
  const plan = await world.volumes.plan([source(disk.folder)]);
  const view = await freeze(world.volumes, plan, { journal: world.journal, signal: signal() });
  const held = fs.openSync(`${view.root.toString()}${disk.folder}/file`, 'r');
  await view[Symbol.asyncDispose]();
  fs.closeSync(held);
  t.strictSame(world.mounts(), []);
  t.strictSame(world.journal.pending(), []);
});

await t.test('where nothing can be frozen the live files are read, and nothing is made', async (t) => {
  await using world = await openWorld();
  const plan = await world.volumes.plan([source('/etc', { provider: 'none' })]);
  t.ok(plan.isLive);
  await using view = await freeze(world.volumes, plan, { journal: world.journal, signal: signal() });
  t.equal(view.root.toString(), '/');
  await view.check();
  t.notOk(fs.existsSync(world.viewsDir));
  t.strictSame(world.journal.pending(), []);
});

await t.test('what is asked for and not possible is refused, by name', async (t) => {
  await using world = await openWorld();
  for (const provider of ['lvm', 'btrfs', 'zfs'] as const) {
    const plan = await world.volumes.plan([source('/etc', { provider })]);
    t.match(plan.volumes[0]?.problem?.message, new RegExp(`"snapshot: ${provider}" is not possible: `));
    await t.rejects(world.volumes.prepare(plan, { journal: world.journal, signal: signal() }), {
      code: 'SNAPSHOT_FAILED',
      exitStatus: 14,
      hint: /snapshot: auto/,
    });
  }
});
