import {
  chmodSync,
  closeSync,
  cpSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import t from 'tap';
import { settle } from '../harness/sample-tree.ts';
import { makeSealedWorld } from '../harness/sealed-world.ts';
import { makeWorld, type World } from '../harness/world.ts';

// A moved file is told by its inode, size, mtime and birth. None of them changes for what is written in place by something that
// sets the times of what it writes (rsync --inplace -t, cp -p, builds that date everything alike): what was read from the
// inode since then decides.

/** Writes in place, dated as ever. */
function write(file: string, content: string, dateS = 1): void {
  const descriptor = openSync(file, 'a');
  closeSync(descriptor);
  const inPlace = openSync(file, 'r+');
  writeSync(inPlace, content, 0);
  closeSync(inPlace);
  utimesSync(file, dateS, dateS);
}

/** Renames the files, backs up, restores. @returns what the renamed ones hold */
async function renamed(world: World, names: readonly string[]): Promise<string[]> {
  for (const name of names) renameSync(`${world.source}/${name}`, `${world.source}/${name} renamed`);
  await world.backup();
  const restored = await world.restore();
  return names.map((name) => readFileSync(`${restored}/${name} renamed`, 'utf8'));
}

t.test('a file that was written again is not moved as what it was before', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const file = (name: string): string => `${world.source}/${name}`;
  for (const name of ['back and forth', 'like another', 'just written', 'dated back'])
    write(file(name), `old of ${name}`);
  await settle();
  await world.backup();

  write(file('back and forth'), 'new of back and forth');
  // it comes first, and so it is what is sent
  write(file('another'), 'old of LIKE ANOTHER');
  write(file('like another'), 'old of LIKE ANOTHER');
  write(file('dated back'), 'new of dated back', 2);
  await settle();
  write(file('just written'), 'new of just written');
  await world.backup();

  write(file('back and forth'), 'old of back and forth');
  await settle();
  await world.backup();

  utimesSync(file('dated back'), 1, 1);
  t.same(await renamed(world, ['back and forth', 'like another', 'just written', 'dated back']), [
    'old of back and forth',
    'old of LIKE ANOTHER',
    'new of just written',
    'new of dated back',
  ]);
});

t.test('nor where what this server remembers is older than the last run', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  write(`${world.source}/file`, 'old');
  await settle();
  await world.backup();
  const { stateDir } = world.bakker;
  cpSync(stateDir, `${stateDir} of then`, { recursive: true });
  write(`${world.source}/file`, 'new');
  await settle();
  await world.backup();
  rmSync(stateDir, { recursive: true });
  renameSync(`${stateDir} of then`, stateDir);
  t.same(await renamed(world, ['file']), ['new']);
});

t.test('nor where the runs between can not be read, whatever explains its ctime', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const names = ['mode', 'renamed'];
  for (const name of names) write(`${world.source}/${name}`, 'old');
  await settle();
  await world.backup();
  const { stateDir } = world.bakker;
  cpSync(stateDir, `${stateDir} of then`, { recursive: true });
  for (const name of names) write(`${world.source}/${name}`, 'new');
  await settle();
  await world.backup();
  writeFileSync(`${world.source}/without them`, '');
  await world.configure({ exclude: names });
  await world.backup();
  await world.configure({ exclude: [] });
  rmSync(stateDir, { recursive: true });
  renameSync(`${stateDir} of then`, stateDir);
  // the mode of one, the name of the other: each would explain a ctime that had not moved before
  chmodSync(`${world.source}/mode`, 0o600);
  renameSync(`${world.source}/renamed`, `${world.source}/renamed since`);
  await settle();
  await world.backup();
  const restored = await world.restoreSealed();
  t.same(
    ['mode', 'renamed since'].map((name) => readFileSync(`${restored}/${name}`, 'utf8')),
    ['new', 'new'],
  );
});

t.test('nor where the run that read it last is gone', async (t) => {
  const retention = { days: 0, instances: 1, months: 0, years: 2 };
  await using world = await makeWorld({ kind: 'local', config: { retention } });
  write(`${world.source}/file`, 'old');
  await settle();
  await world.backup();
  write(`${world.source}/file`, 'new');
  const later = { through: ['faketime', '-f', '+800d'] };
  for (const command of ['backup', 'backup', 'retention']) await world.expect([command], 0, later);
  t.equal((await world.list()).length, 2, 'the first and the last run are left');
  t.same(await renamed(world, ['file']), ['new']);
});

t.test('nor where nothing was renamed: it was left out for a while', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const names = ['file', 'linked', 'like another'];
  for (const name of names) write(`${world.source}/${name}`, 'old');
  writeFileSync(`${world.source}/not left out`, '');
  await settle();
  await world.backup();
  // it comes first, and so it is what is sent
  for (const name of ['another', 'like another']) write(`${world.source}/${name}`, 'one');
  await settle();
  await world.backup();
  await world.configure({ exclude: names });
  await world.backup();
  for (const name of names) write(`${world.source}/${name}`, 'new');
  linkSync(`${world.source}/linked`, `${world.source}/another name`);
  await settle();
  await world.configure({ exclude: [] });
  await world.backup();
  const restored = await world.restore();
  t.same(
    ['another name', ...names].map((name) => readFileSync(`${restored}/${name}`, 'utf8')),
    ['new', 'new', 'new', 'new'],
  );
});

t.test('nor where its folder was left out, and has another name on the storage since', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local', hideNames: true });
  const file = `${world.source}/folder/file`;
  mkdirSync(`${world.source}/folder`);
  write(file, 'old');
  writeFileSync(`${world.source}/not left out`, '');
  await settle();
  await world.backup();
  await world.configure({ exclude: ['folder'] });
  await world.backup();
  write(file, 'new');
  await settle();
  await world.configure({ exclude: [] });
  await world.backup();
  t.equal(readFileSync(`${await world.restoreSealed()}/folder/file`, 'utf8'), 'new');
});
