import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { TreeScriptEncoder, type TreeOperation } from '@bakker/impl-format';
import { bytesOf, cloneWorld } from './clone-world.ts';

const TREE = {
  'a/one': 'one',
  'a/two': 'two',
  'a b/file': 'sorts behind a/',
  'a-b': 'also',
  'deep/er/est/file': 'deep',
  'deep/other': 'other',
  'empty/': '',
  link: '-> a/one',
  '.bakker-long-paths/0001': 'long',
  top: 'top',
};

t.test('keep-rest of a whole parent links everything but the folder of long paths', async (t) => {
  await using world = cloneWorld(TREE);
  t.strictSame(await world.apply([{ kind: 'keep-rest' }]), []);
  t.strictSame(world.tree('run'), world.expected([{ kind: 'keep-rest' }]));
  const counts = await world.cloner.finish();
  t.match(counts, { files: 7, symlinks: 1, keptFiles: 7, parentFiles: 8 });
  t.equal(counts.directories + world.runFolders.directories, 6);
  t.equal(counts.bytes, 3 + 3 + 15 + 4 + 4 + 5 + 3);
});

t.test("bytes are the same whether the parent's are known or added up", async (t) => {
  for (const knowsBytes of [false, true]) {
    await using world = cloneWorld(TREE, { hurt: ['a/two'], knowsBytes });
    await world.apply([
      { kind: 'skip', path: Buffer.from('deep/er') },
      { kind: 'keep-rest' },
      { kind: 'link', path: Buffer.from('moved/file'), folder: '', from: Buffer.from('deep/er/est/file') },
    ]);
    const counts = await world.cloner.finish();
    t.equal(counts.bytes, bytesOf(world.tree('run')));
    t.match(counts, { files: 6, parentFiles: 8 });
  }
});

t.test('scripts that are sent without waiting are done in their order', async (t) => {
  await using world = cloneWorld(TREE);
  const outcomes = await Promise.all([
    world.apply([{ kind: 'skip', path: Buffer.from('a') }]),
    world.apply([{ kind: 'keep-until', path: Buffer.from('deep/other') }]),
    world.apply([
      {
        kind: 'link',
        path: Buffer.from('again'),
        folder: world.token,
        from: Buffer.from('deep/er/est/file'),
      },
    ]),
    world.apply([{ kind: 'keep-rest' }]),
  ]);
  t.strictSame(outcomes, [[], [], [], []]);
  t.equal(readFileSync(join(world.run, 'again'), 'utf8'), 'deep');
  t.notOk(existsSync(join(world.run, 'a')));
});

t.test('what uploads made meanwhile is in nobody’s way, and folders are counted once', async (t) => {
  await using world = cloneWorld(TREE);
  world.runFolders.ensure(Buffer.from('deep/er/new'));
  writeFileSync(join(world.run, 'deep/er/new/upload'), '');
  await world.apply([{ kind: 'keep-rest' }]);
  world.runFolders.ensure(Buffer.from('a b/new'));
  t.equal(world.cloner.counts.directories + world.runFolders.directories, 8);
  t.ok(existsSync(join(world.run, 'deep/er/est/file')));
});

for (const processors of [1, 4])
  t.test(
    `a kept name that the run has already fails the script, and every one after it: ${processors} processors`,
    async (t) => {
      await using world = cloneWorld(TREE, { processors });
      writeFileSync(join(world.run, 'top'), 'uploaded');
      await t.rejects(world.apply([{ kind: 'keep-rest' }]), { code: 'NAME_TAKEN' });
      await t.rejects(world.apply([{ kind: 'directory', path: Buffer.from('x') }]), { code: 'NAME_TAKEN' });
      t.equal(readFileSync(join(world.run, 'top'), 'utf8'), 'uploaded');
      t.notOk(existsSync(join(world.run, 'x')));
    },
  );

t.test('a symlink in the run where the parent has a folder is never followed', async (t) => {
  await using world = cloneWorld(TREE);
  mkdirSync(join(world.top, 'outside'));
  symlinkSync(join(world.top, 'outside'), join(world.run, 'deep'));
  await t.rejects(world.apply([{ kind: 'keep-rest' }]), { code: 'NAME_TAKEN' });
  t.strictSame(readdirSync(join(world.top, 'outside')), []);
});

t.test('a folder of the parent that became a symlink is never followed', async (t) => {
  await using world = cloneWorld(TREE);
  mkdirSync(join(world.top, 'outside'));
  writeFileSync(join(world.top, 'outside/secret'), 'secret');
  await world.apply([{ kind: 'keep-until', path: Buffer.from('deep') }]);
  renameSync(join(world.parent, 'deep'), join(world.top, 'moved'));
  symlinkSync(join(world.top, 'outside'), join(world.parent, 'deep'));
  const outcome = await world.apply([
    { kind: 'link', path: Buffer.from('x'), folder: '', from: Buffer.from('deep/secret') },
    { kind: 'link', path: Buffer.from('y'), folder: '', from: Buffer.from('deep/gone/secret') },
  ]);
  t.strictSame(outcome, [
    { operation: 0, reason: 'absent' },
    { operation: 1, reason: 'refused' },
  ]);
  await t.rejects(world.apply([{ kind: 'keep-rest' }]), { code: 'NAME_TAKEN' });
  t.strictSame(
    [...world.tree('run').keys()].filter((path) => path.includes('secret')),
    [],
  );
});

t.test('a link that can’t be made is said, and the others are made', async (t) => {
  await using world = cloneWorld(TREE, { hurt: ['a/two'] });
  const link = (path: string, from: string, folder = ''): TreeOperation => ({
    ...{ kind: 'link', path: Buffer.from(path), folder, from: Buffer.from(from) },
  });
  const outcome = await world.apply([
    link('new/one', 'a/one'),
    link('new/none', 'a/none'),
    link('new/below-file', 'a/one/x'),
    link('new/folder', 'a'),
    link('new/hurt', 'a/two'),
    link('new/one', 'a-b'),
    link('new/one/below', 'a-b'),
    link('new/strange', 'a/one', '2020_01_01_01'),
    link('new/sign', 'link'),
    link('new/long', '.bakker-long-paths/0001'),
  ]);
  t.strictSame(outcome, [
    { operation: 1, reason: 'absent' },
    { operation: 2, reason: 'absent' },
    { operation: 3, reason: 'refused' },
    { operation: 4, reason: 'hurt' },
    { operation: 5, reason: 'refused' },
    { operation: 6, reason: 'refused' },
    { operation: 7, reason: 'absent' },
  ]);
  t.strictSame([...world.tree('run').keys()], ['new', 'new/long', 'new/one', 'new/sign']);
  t.equal(readlinkSync(join(world.run, 'new/sign')), 'a/one');
  t.match(world.cloner.counts, { files: 2, symlinks: 1, bytes: 7, keptFiles: 2 });
  await world.apply([{ kind: 'keep-rest' }]);
  t.notOk(existsSync(join(world.run, 'a/two')), 'what is hurt is not kept either');
  t.ok(existsSync(join(world.run, 'a/one')));
});

t.test('paths that were passed are refused', async (t) => {
  await using world = cloneWorld(TREE);
  await world.apply([{ kind: 'skip', path: Buffer.from('deep') }]);
  await t.rejects(world.apply([{ kind: 'keep-until', path: Buffer.from('a') }]), { code: 'OUT_OF_ORDER' });
});

t.test('a first run has nothing to keep', async (t) => {
  await using world = cloneWorld(TREE, { hasParent: false });
  const script: TreeOperation[] = [
    { kind: 'skip', path: Buffer.from('a') },
    { kind: 'symlink', path: Buffer.from('x/y'), target: Buffer.from('z') },
    { kind: 'keep-rest' },
  ];
  t.strictSame(await world.apply(script), []);
  t.strictSame([...world.tree('run').keys()], ['x', 'x/y']);
  t.match(await world.cloner.finish(), { files: 0, symlinks: 1, parentFiles: 0 });
});

for (const processors of [1, 4])
  t.test(
    `a folder of 50,000 names with some changed is cloned whole: ${processors} processors`,
    async (t) => {
      await using world = cloneWorld({ 'big/': '' }, { folder: '/dev/shm', processors });
      for (let i = 0; i < 50_000; i++) linkOrWrite(join(world.parent, 'big'), i);
      const encoder = new TreeScriptEncoder();
      const skipped = Array.from({ length: 500 }, (_, i) => `big/name-${String(i * 97).padStart(6, '0')}`);
      for (const path of skipped) encoder.skip(Buffer.from(path));
      encoder.keepRest();
      t.strictSame(await world.cloner.apply(encoder.take()), []);
      const names = readdirSync(join(world.run, 'big'));
      t.equal(names.length, 49_500);
      t.notOk(skipped.some((path) => existsSync(join(world.run, path))));
      t.match(await world.cloner.finish(), { files: 49_500, parentFiles: 50_000, keptFiles: 49_500 });
    },
  );

/** Ten names an inode: makes fewer files for the same folder. */
function linkOrWrite(folder: string, number: number): void {
  const path = join(folder, `name-${String(number).padStart(6, '0')}`);
  if (number % 10 === 0) writeFileSync(path, '');
  else linkSync(join(folder, `name-${String(number - (number % 10)).padStart(6, '0')}`), path);
}
