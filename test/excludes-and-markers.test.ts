import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from './harness/loop-fs.ts';
import { makeWorld } from './harness/world.ts';

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
    await world.configure({ 'one-file-system': false });
    await world.backup();
    t.same(filesBelow(await world.restore()), ['web1/file', 'web1/mounted/inside', 'web2/file']);
  } finally {
    for (const mount of mounts) execFileSync('umount', [mount]);
  }
});
