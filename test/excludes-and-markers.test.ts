import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from './harness/loop-fs.ts';
import { makeWorld, type World } from './harness/world.ts';

function filesBelow(folder: string): string[] {
  const printed = execFileSync('find', ['.', '!', '-type', 'd', '-printf', '%P\n'], {
    cwd: folder,
    encoding: 'utf8',
  });
  return printed
    .split('\n')
    .filter((name) => name !== '')
    .sort();
}

async function doctorOfSources(world: World): Promise<{ result: string; detail: string }[]> {
  const all = (await world.expect(['doctor', '--json'])).json<
    { check: string; result: string; detail: string }[]
  >();
  return all.filter(({ check }) => check === 'sources');
}

t.test('excludes in the syntax of .gitignore and markers keep things out', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const write = (...names: string[]): void => {
    for (const name of names) {
      mkdirSync(`${world.source}/${name.slice(0, name.lastIndexOf('/') + 1)}`, { recursive: true });
      writeFileSync(`${world.source}/${name}`, name);
    }
  };
  write(
    'keep',
    'a.tmp',
    'deep/b.tmp',
    'important.tmp',
    'cache/x',
    'deep/cache/y',
    'logs/1',
    'logs/keep',
    'deep/logs/2',
  );
  write('marked/CACHEDIR.TAG', 'marked/z', 'private/.nobackup', 'private/z', 'false/CACHEDIR.TAG', 'false/z');
  writeFileSync(`${world.source}/marked/CACHEDIR.TAG`, 'Signature: 8a477f597d28d172789f06886806bc55\n');
  await world.configure({
    exclude: ['*.tmp', '!important.tmp'],
    sources: [{ path: world.source, exclude: ['cache/', '/logs/*', '!/logs/keep'] }],
  });
  await world.backup();
  t.same(filesBelow(await world.restore()), [
    'deep/logs/2',
    'false/CACHEDIR.TAG',
    'false/z',
    'important.tmp',
    'keep',
    'logs/keep',
    'marked/CACHEDIR.TAG',
    'private/.nobackup',
  ]);
});

t.test('sources by pattern; another file system only if asked; pseudo file systems never', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16 << 20 });
  await using world = await makeWorld({ kind: 'local' });
  for (const name of ['web1', 'web2', 'db']) {
    mkdirSync(`${world.source}/${name}`);
    writeFileSync(`${world.source}/${name}/file`, name);
  }
  mkdirSync(`${world.source}/web1/mounted`);
  writeFileSync(`${disk.folder}/inside`, 'inside');
  const mounts = [`${world.source}/web1/mounted`, `${world.source}/web1/proc`];
  mkdirSync(mounts[1] ?? '');
  execFileSync('mount', ['--bind', disk.folder, mounts[0] ?? '']);
  execFileSync('mount', ['-t', 'proc', 'proc', mounts[1] ?? '']);
  try {
    await world.configure({ sources: [`${world.source}/web*`] });
    await world.backup();
    t.same(filesBelow(await world.restore()), ['web1/file', 'web2/file']);
    const dry = await world.expect(['backup', '--dry-run']);
    for (const mount of mounts) t.match(dry.stderr, `${mount}: left out but for itself: another file system`);
    t.match(await doctorOfSources(world), [
      { result: 'warn', detail: `${mounts[0]} is a file system of its own` },
    ]);
    for (const exclude of ['/mounted/', '/mounted/*']) {
      await world.configure({ exclude: [exclude] });
      t.match(await doctorOfSources(world), [{ result: 'ok' }], `${exclude} is known to be left out`);
    }
    await world.configure({ exclude: [] });
    await world.configure({ 'one-file-system': false });
    await world.backup();
    t.same(filesBelow(await world.restore()), ['web1/file', 'web1/mounted/inside', 'web2/file']);
  } finally {
    for (const mount of mounts) execFileSync('umount', [mount]);
  }
});

t.test(
  'the state folder is left out of a run that covers it, but for the dumps, unless it is a source itself',
  async (t) => {
    await using world = await makeWorld({ kind: 'local' });
    const { folder, stateDir } = world.bakker;
    const app = `${world.source}/app.db`;
    execFileSync('sqlite3', [app, 'CREATE TABLE t (n); INSERT INTO t VALUES (1)']);
    await world.configure({ sources: [folder] });
    await world.backup();
    const { warnings, files } = await world.backup();
    t.same(warnings, [], 'what bakker writes meanwhile does not count as changing');
    t.equal(files.changed + files.new, 0, 'nor is it sent in each run');
    t.same(filesBelow(`${world.storage}/latest${stateDir}`), []);
    t.match((await world.expect(['backup', '--dry-run'])).stderr, `${stateDir}: left out but for itself`);

    await world.configure({ services: [{ name: 'app', 'sqlite-dump': { file: app } }] });
    await world.backup();
    t.same(filesBelow(`${world.storage}/latest${stateDir}`), ['dumps/app.sqlite']);
    await world.expect(['restore', folder, '--in-place', '--delete', '--yes']);
    t.ok(existsSync(`${stateDir}/last.json`), 'a restore does not delete what runs leave out');

    await world.configure({ sources: [folder, stateDir], services: [] });
    await world.backup();
    t.ok(filesBelow(`${world.storage}/latest${stateDir}`).includes('last.json'));
  },
);

t.test('an exclude that is an absolute path is warned of where a run is only tried', async (t) => {
  await using world = await makeWorld({ kind: 'local', config: { exclude: ['/other'] } });
  mkdirSync(`${world.source}/cache`);
  t.notMatch((await world.expect(['backup', '--dry-run'])).stderr, /exclude/);
  await world.configure({ exclude: [`${world.source}/cache`] });
  const { stderr } = await world.expect(['backup', '--dry-run']);
  t.match(stderr, `warning: exclude "${world.source}/cache" leaves nothing out`);
  t.match(stderr, /; write "\/cache"/);
});
