import t from 'tap';
import {
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { openRestoreTarget } from '../../src/adapters/local-restore-target.ts';
import type { StorageAccount } from '../../src/ports/storage-account.ts';
import { fingerprintTree } from '../../../../test/harness/compare-trees.ts';
import { altered } from './altered-account.ts';
import { World } from './world.ts';

const DEPTH = ['one', 'two', 'three'];

async function deepWorld(): Promise<World> {
  const world = new World();
  const folder = `${world.source}/${DEPTH.join('/')}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/file`, 'recorded');
  writeFileSync(`${folder}/large`, Buffer.alloc(3_000_000, 1));
  symlinkSync('/etc/passwd', `${folder}/link`);
  await world.backUp();
  return world;
}

for (let level = 0; level <= DEPTH.length; level++) {
  const below = DEPTH.slice(0, level);
  const place = below.length === 0 ? 'in place of the first folder' : `at level ${level}`;
  for (const overwrite of ['if-changed', 'if-newer', 'never'] as const) {
    t.test(`a symlink ${place} is not followed with ${overwrite}`, async (t) => {
      await using world = await deepWorld();
      const victim = `${world.folder}/victim`;
      const rest = [...DEPTH.slice(level)].join('/');
      mkdirSync(`${victim}/${rest}`, { recursive: true });
      writeFileSync(`${victim}/${rest}/file`, 'not yours');
      const before = await fingerprintTree(victim);
      const at = [world.restored, ...below].join('/');
      mkdirSync(at.slice(0, at.lastIndexOf('/')), { recursive: true });
      symlinkSync(victim, at);
      const { report } = await world.restore({ overwrite, deletes: true });
      t.equal(await fingerprintTree(victim), before);
      t.equal(lstatSync(at).isSymbolicLink(), overwrite !== 'if-changed');
      if (overwrite === 'if-changed')
        t.equal(readFileSync(`${world.restored}/${DEPTH.join('/')}/file`, 'utf8'), 'recorded');
      else t.match(report.warnings()[0], /a symlink stands where the folder should be/);
    });
  }
}

t.test('a symlink in place of a file is replaced itself', async (t) => {
  await using world = await deepWorld();
  const victim = `${world.folder}/victim`;
  const folder = `${world.restored}/${DEPTH.join('/')}`;
  mkdirSync(folder, { recursive: true });
  for (const name of ['file', 'large']) {
    writeFileSync(victim + name, 'not yours');
    symlinkSync(victim + name, `${folder}/${name}`);
  }
  await world.restore({ verifies: true });
  for (const name of ['file', 'large']) {
    t.equal(readFileSync(victim + name, 'utf8'), 'not yours');
    t.ok(lstatSync(`${folder}/${name}`).isFile());
  }
});

t.test(
  'a folder that is swapped for a symlink while contents are on their way is not followed',
  async (t) => {
    await using world = await deepWorld();
    const victim = `${world.folder}/victim`;
    mkdirSync(victim);
    await using account = await world.account();
    const folder = `${world.restored}/${DEPTH.join('/')}`;
    let swaps = 0;
    const swap = () => {
      if (swaps++ > 0) return;
      renameSync(folder, `${folder}-away`);
      symlinkSync(victim, folder);
    };
    const swapping: StorageAccount = altered(account, {
      readFile: async (...args) => {
        const bytes = await account.readFile(...args);
        swap();
        return bytes;
      },
    });
    await world.restore({}, swapping);
    t.equal(swaps > 0, true);
    t.same(readdirSync(victim), []);
    t.equal(readFileSync(`${folder}-away/file`, 'utf8'), 'recorded', 'it went to the folder that was opened');
  },
);

t.test('a hard link is not made through a symlink that took the place of its folder', async (t) => {
  await using world = new World();
  for (const name of ['a', 'many', 'z']) mkdirSync(`${world.source}/${name}`, { recursive: true });
  writeFileSync(`${world.source}/a/file`, 'shared');
  linkSync(`${world.source}/a/file`, `${world.source}/z/file`);
  // More than are in flight at once: the first name is in place, and the second not yet looked at, when it happens.
  for (let index = 1000; index < 2000; index++) writeFileSync(`${world.source}/many/${index}`, 'x');
  await world.backUp();
  const victim = `${world.folder}/victim`;
  mkdirSync(victim);
  writeFileSync(`${victim}/file`, "another user's");
  await using account = await world.account();
  let swaps = 0;
  const swapping = altered(account, {
    readFile: async (...args) => {
      if (args[1].toString().endsWith('/many/1500')) {
        swaps++;
        renameSync(`${world.restored}/a`, `${world.restored}/a-away`);
        symlinkSync(victim, `${world.restored}/a`);
      }
      return account.readFile(...args);
    },
  });
  await world.restore({}, swapping);
  t.equal(swaps, 1);
  t.equal(readFileSync(`${world.restored}/a-away/file`, 'utf8'), 'shared');
  t.equal(readFileSync(`${world.restored}/z/file`, 'utf8'), 'shared', 'it has content of its own then');
  t.equal(lstatSync(`${victim}/file`).nlink, 1);
});

t.test('a name that another file got meanwhile is not written through', async (t) => {
  await using world = new World();
  await using tree = openRestoreTarget().open(world.back, { create: true });
  if (tree === undefined) throw new Error('it was to be created');
  const { root } = tree;
  const attributes = { uid: 0, gid: 0, mode: 0o644, mtimeNs: 0n, xattrs: [] };
  const place = (name: string) =>
    [Buffer.from(name), { bytes: Buffer.from('run') }, { attributes, replaces: false }] as const;
  const victim = `${world.folder}/victim`;
  writeFileSync(victim, "another user's");
  linkSync(victim, `${world.back}/linked`);
  symlinkSync(victim, `${world.back}/symlink`);
  root.placeFile(...place('first')); // from here on the writing thread may take them
  for (const name of ['linked', 'symlink']) {
    t.throws(() => root.placeFile(...place(name)), { code: 'EEXIST' }, name);
    await t.rejects(root.placeFileSoon(...place(name)), { code: 'EEXIST' }, `${name}, by the thread`);
  }
  t.equal(readFileSync(victim, 'utf8'), "another user's");
});

t.test('only what a restore left behind is cleared away', async (t) => {
  await using world = new World();
  await using tree = openRestoreTarget().open(world.back, { create: true });
  const theirs = ['.bakker-restore-', '.bakker-restore-0123456789abcdeg', 'a name as long as what was left'];
  const names = [...theirs, '.bakker-restore-0123456789abcdef'];
  for (const name of names) writeFileSync(`${world.back}/${name}`, 'x');
  tree?.root.removeLeftovers();
  t.same(readdirSync(world.back).sort(), theirs.sort());
});

t.test('the target itself refuses every name that is not one component', async (t) => {
  await using world = new World();
  await using tree = openRestoreTarget().open(world.back, { create: true });
  if (tree === undefined) throw new Error('it was to be created');
  const attributes = { uid: 0, gid: 0, mode: 0o644, mtimeNs: 0n, xattrs: [] };
  for (const name of ['..', '.', '', 'a/b', '/etc/bakker-was-here', 'a\0b']) {
    const bytes = Buffer.from(name);
    const placing = { attributes, replaces: false };
    t.throws(() => tree.root.placeFile(bytes, { bytes: Buffer.alloc(1) }, placing), { code: 'EINVAL' });
    t.throws(() => tree.root.makeFolder(bytes), { code: 'EINVAL' });
    t.throws(() => tree.root.remove(bytes), { code: 'EINVAL' });
    t.throws(() => tree.root.openFile(bytes), { code: 'EINVAL' });
  }
  mkdirSync(`${world.back}/inside`);
  symlinkSync('/etc', `${world.back}/inside/out`);
  for (const path of ['inside/out', '../back/inside', '/etc'])
    t.throws(() => tree.folderAt(Buffer.from(path)));
  t.notOk(existsSync('/etc/bakker-was-here'));
});

for (const names of [1, 2]) {
  t.test(`a file with ${names} names is not given to whoever put it in the place of his own`, async (t) => {
    await using world = new World();
    mkdirSync(world.source);
    writeFileSync(`${world.source}/notes`, 'recorded');
    chownSync(`${world.source}/notes`, 4321, 4321);
    utimesSync(`${world.source}/notes`, 1_700_000_000, 1_700_000_000);
    if (names === 2) linkSync(`${world.source}/notes`, `${world.source}/same`);
    await world.backUp();
    mkdirSync(world.restored, { recursive: true });
    const secret = `${world.folder}/secret`;
    writeFileSync(secret, 'passwort', { mode: 0o600 });
    utimesSync(secret, 1_700_000_000, 1_700_000_000);
    if (names === 2) linkSync(secret, `${world.restored}/notes`);
    else renameSync(secret, `${world.restored}/notes`);
    await world.restore();
    t.equal(readFileSync(`${world.restored}/notes`, 'utf8'), 'recorded');
    t.equal(lstatSync(`${world.restored}/notes`).uid, 4321);
    if (names === 2) t.equal(lstatSync(secret).uid, 0);
  });
}

t.test('a file of the same content has its owner put right where it lies', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/notes`, 'recorded');
  chownSync(`${world.source}/notes`, 4321, 4321);
  await world.backUp();
  await world.restore();
  const { ino } = lstatSync(`${world.restored}/notes`);
  chownSync(`${world.restored}/notes`, 0, 0);
  await world.restore();
  t.match(lstatSync(`${world.restored}/notes`), { ino, uid: 4321, gid: 4321 });
});

t.test('attributes are not set on a file that took the place of the one looked at', async (t) => {
  await using world = new World();
  mkdirSync(world.back);
  const path = `${world.back}/file`;
  writeFileSync(path, 'looked at');
  await using tree = openRestoreTarget().open(world.back, { create: false });
  if (tree === undefined) throw new Error('the folder is there');
  const name = Buffer.from('file');
  const item = tree.root.inspect(name);
  if (item === undefined) throw new Error('the file is there');
  writeFileSync(`${path}-other`, "another's", { mode: 0o600 });
  renameSync(`${path}-other`, path);
  const attributes = { uid: 4321, gid: 4321, mode: 0o666, mtimeNs: 0n, xattrs: [] };
  t.throws(() => tree.root.setAttributes(name, item, attributes), { code: 'ESTALE' });
  t.match(itemModeAndOwner(path), { mode: 0o600, uid: 0 });
});

t.test('attributes of a symlink are not set on a file that took its place', async (t) => {
  await using world = new World();
  mkdirSync(world.back);
  const path = `${world.back}/link`;
  symlinkSync('anywhere', path);
  await using tree = openRestoreTarget().open(world.back, { create: false });
  if (tree === undefined) throw new Error('the folder is there');
  const name = Buffer.from('link');
  const item = tree.root.inspect(name);
  if (item === undefined) throw new Error('the symlink is there');
  const attributes = { uid: 4321, gid: 4321, mode: 0o777, mtimeNs: 5n, xattrs: [] };
  t.same(tree.root.setAttributes(name, item, attributes), []);
  t.match(lstatSync(path, { bigint: true }), { uid: 4321n, gid: 4321n, mtimeNs: 5n });
  writeFileSync(`${path}-other`, "another's", { mode: 0o600 });
  renameSync(`${path}-other`, path);
  t.throws(() => tree.root.setAttributes(name, item, attributes), { code: 'ESTALE' });
  t.match(itemModeAndOwner(path), { mode: 0o600, uid: 0 });
});

function itemModeAndOwner(path: string): { mode: number; uid: number } {
  const { mode, uid } = lstatSync(path);
  return { mode: mode & 0o7777, uid };
}
