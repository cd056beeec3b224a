import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { freeze } from '../../src/volumes/freeze.ts';
import { fillTree, readTree } from './provider-contract.ts';
import { openWorld, source } from './world.ts';

t.setTimeout(600_000);
const signal = () => new AbortController().signal;
const ROUNDS = 25;

for (const [provider, type, sizeBytes] of [
  ['mirror', 'ext4', 48 * 2 ** 20],
  ['reflink', 'xfs', 320 * 2 ** 20],
] as const) {
  await t.test(`${provider}: whatever changed, the next pass says the same as the live tree`, async (t) => {
    await using disk = await mountLoopFilesystem({ type, sizeBytes });
    await using world = await openWorld();
    const top = disk.folder;
    fillTree(`${top}/data`);
    fs.writeFileSync(`${top}/outside`, 'not a source');
    const random = generator(provider.length);
    for (let round = 0; round < ROUNDS; round++) {
      const changes = Array.from({ length: 6 }, () => changeSomething(`${top}/data`, random));
      const plan = await world.volumes.plan([source(`${top}/data`, { provider, excludes: ['left.out'] })]);
      await using view = await freeze(world.volumes, plan, { journal: world.journal, signal: signal() });
      const root = view.root.toString();
      t.strictSame(
        await readTree(root, `${top}/data`),
        withoutLeftOut(await readTree('/', `${top}/data`)),
        changes.join('; '),
      );
      t.notOk(fs.existsSync(`${root}${top}/outside`));
    }
  });
}

await t.test('a copy that was cut off is made good by the next', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 48 * 2 ** 20 });
  await using world = await openWorld();
  const data = `${disk.folder}/data`;
  fillTree(data);
  const plan = () => world.volumes.plan([source(disk.folder, { provider: 'mirror' })]);
  {
    await using view = await freeze(world.volumes, await plan(), {
      journal: world.journal,
      signal: signal(),
    });
    t.notOk(fs.existsSync(`${view.root.toString()}${disk.folder}/.bakker-copy`), 'it does not copy itself');
  }
  // As a death in mid-copy leaves it: half of the tree gone, rubbish under way, the state cut short.
  const copy = `${disk.folder}/.bakker-copy`;
  fs.rmSync(`${copy}/tree/data/sub`, { recursive: true });
  fs.writeFileSync(`${copy}/tree/data/a file`, 'torn', { flag: 'r+' });
  fs.unlinkSync(`${copy}/tree/data/holes`);
  fs.mkdirSync(`${copy}/tree/data/holes`);
  fs.mkdirSync(`${copy}/trash/1/deep`, { recursive: true });
  fs.writeFileSync(`${copy}/trash/1/deep/file`, 'x');
  fs.writeFileSync(`${copy}/new/0`, 'x');
  fs.truncateSync(`${copy}/state`, 70);
  await using view = await freeze(world.volumes, await plan(), { journal: world.journal, signal: signal() });
  t.strictSame(await readTree(view.root.toString(), data), await readTree('/', data));
  t.strictSame([fs.readdirSync(`${copy}/trash`), fs.readdirSync(`${copy}/new`)], [[], []]);
});

await t.test('two runs never share a copy', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 48 * 2 ** 20 });
  await using world = await openWorld();
  fs.writeFileSync(`${disk.folder}/file`, 'x');
  const plan = await world.volumes.plan([source(disk.folder, { provider: 'mirror' })]);
  await using _view = await freeze(world.volumes, plan, { journal: world.journal, signal: signal() });
  const other = await world.volumes.plan([source(disk.folder, { provider: 'mirror' })]);
  await t.rejects(freeze(world.volumes, other, { journal: world.journal, signal: signal() }), {
    code: 'SNAPSHOT_FAILED',
    message: /another run uses the copy/,
  });
});

await t.test('a mirror stops before it fills the file system, and leaves no view', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 256 * 2 ** 20 });
  await using world = await openWorld();
  fs.writeFileSync(`${disk.folder}/large`, Buffer.alloc(150 * 2 ** 20, 7));
  const plan = await world.volumes.plan([source(disk.folder, { provider: 'mirror' })]);
  await t.rejects(freeze(world.volumes, plan, { journal: world.journal, signal: signal() }), {
    code: 'SNAPSHOT_FAILED',
    exitStatus: 14,
    message: /the file system is free|no room for the copy/,
  });
  t.strictSame(world.mounts(), []);
  t.strictSame(world.journal.pending(), []);
});

await t.test('a copy that nothing uses any more is told of', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 48 * 2 ** 20 });
  await using world = await openWorld();
  fs.mkdirSync(`${disk.folder}/.bakker-copy`);
  const plan = await world.volumes.plan([source(disk.folder, { provider: 'none' })]);
  t.match(plan.warnings, [/\.bakker-copy is a copy that nothing uses any more: remove it/]);
});

type Random = (below: number) => number;

/** The same numbers in every run. */
function generator(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

function changeSomething(folder: string, random: Random): string {
  const paths = fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.includes('\ufffd'));
  const name = paths[random(paths.length)] ?? '';
  const at = join(folder, name);
  const fresh = join(folder, `made-${random(1e9)}`);
  const isFolder = fs.lstatSync(at).isDirectory();
  const isFile = fs.lstatSync(at).isFile();
  const acts: (() => string)[] = [
    () => (fs.writeFileSync(fresh, `content ${random(1e9)}`), `make ${fresh}`),
    () => (fs.mkdirSync(`${fresh}/below`, { recursive: true }), `make folder ${fresh}`),
    () => (fs.rmSync(at, { recursive: true }), `remove ${name}`),
    () => (fs.renameSync(at, fresh), `move ${name} to ${fresh}`),
    () => (fs.symlinkSync(`target ${random(9)}`, fresh), `link ${fresh}`),
    () => (fs.lchownSync(at, random(9), random(9)), `own ${name}`),
    () => (fs.lutimesSync(at, random(1e9), random(1e9)), `touch ${name}`),
    () => {
      fs.rmSync(at, { recursive: true });
      if (isFolder) fs.writeFileSync(at, 'was a folder');
      else fs.mkdirSync(at);
      return `turn ${name} into another type`;
    },
    () => (isFile ? (fs.linkSync(at, fresh), `link ${name} as ${fresh}`) : 'nothing'),
    () => {
      if (!isFile) return 'nothing';
      fs.writeFileSync(at, `rewritten ${random(1e9)}`);
      return `write ${name}`;
    },
    () => {
      if (!isFile) return 'nothing';
      const { atime, mtime, size } = fs.statSync(at);
      fs.writeFileSync(at, Buffer.alloc(size, random(256)));
      fs.utimesSync(at, atime, mtime);
      return `write ${name} and set its time back`;
    },
    () => {
      execFileSync('setfattr', ['-h', '-n', 'trusted.note', '-v', String(random(99)), at]);
      return `mark ${name}`;
    },
    () => (fs.writeFileSync(`${folder}/left.out`, 'x'), 'make what is left out'),
  ];
  return (acts[random(acts.length)] ?? (() => ''))();
}

function withoutLeftOut(found: Record<string, unknown>): Record<string, unknown> {
  const { 'left.out': _leftOut, ...rest } = found;
  return rest;
}
