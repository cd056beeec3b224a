import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Entry } from '@bakker/impl-format';
import t from 'tap';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import { scan, source, temporaryFolder } from './tree.ts';

/** A file system of its own at a path, taken down again. */
function mounted(path: string, argv: readonly string[]): Disposable {
  fs.mkdirSync(path, { recursive: true });
  execFileSync('mount', [...argv, path]);
  return { [Symbol.dispose]: () => execFileSync('umount', [path]) };
}

interface Helper extends AsyncDisposable {
  said(): string;
}

/**
 * A file system of a program beside this one.
 *
 * @param said - the file that it writes to
 */
async function served(script: string, path: string, said: string): Promise<Helper> {
  fs.mkdirSync(path, { recursive: true });
  const process = spawn('python3', ['-B', new URL(script, import.meta.url).pathname, path], {
    stdio: ['pipe', fs.openSync(said, 'w'), 'inherit'],
  });
  const ended = once(process, 'exit');
  const helper = {
    said: () => fs.readFileSync(said, 'utf8'),
    async [Symbol.asyncDispose]() {
      process.stdin?.end();
      await ended;
    },
  };
  while (helper.said() === '') {
    if (process.exitCode !== null) throw new Error(`${script} ended`);
    await delay(10);
  }
  return helper;
}

t.test(
  'a mount point is an empty folder, unless crossing is allowed; the kernel’s own are never entered',
  async (t) => {
    using folder = temporaryFolder('mounts');
    const root = folder.path;
    using _tmpfs = mounted(`${root}/a b\\c`, ['-t', 'tmpfs', 'tmpfs']);
    using _proc = mounted(`${root}/proc`, ['-t', 'proc', 'proc']);
    fs.writeFileSync(`${root}/a b\\c/inside`, 'x');
    const one = await scan([source(root)]);
    t.same(one.below(root), [`${root}/a b\\c`, `${root}/proc`]);
    const all = await scan([source(root, { oneFilesystem: false })]);
    t.same(all.below(root), [`${root}/a b\\c`, `${root}/a b\\c/inside`, `${root}/proc`]);
    t.ok(all.mountPoints.includes(`${root}/a b\\c`));
    t.not(all.entry(`${root}/a b\\c/inside`).filesystem, all.entry(root).filesystem);
    t.equal(all.mountPoints[all.entry(`${root}/a b\\c/inside`).filesystem], `${root}/a b\\c`);
    const itself = await scan([source(`${root}/a b\\c`)]);
    t.ok(itself.has(`${root}/a b\\c/inside`), 'a tmpfs that is a source is data');
    const both = await scan([source(root), source(`${root}/a b\\c`)]);
    t.same(both.below(root), [`${root}/a b\\c`, `${root}/a b\\c/inside`, `${root}/proc`]);
    await t.rejects(scan([source(`${root}/proc`)]), { code: 'SOURCE_SUSPICIOUS' });
  },
);

t.test('nobody waits for a server that does not answer, unless what it has is a source', async (t) => {
  using folder = temporaryFolder('silent');
  const root = `${folder.path}/source`;
  await using _server = await served('silent-server.py', `${root}/far`, `${folder.path}/said`);
  fs.writeFileSync(`${root}/near`, 'x');
  const scanned = await scan([source(root)]);
  t.same(scanned.below(root), [`${root}/far`, `${root}/near`]);
  t.match(scanned.entry(`${root}/far`), { type: 'directory', mode: 0o755, xattrs: undefined });
  t.match(scanned.problems, [{ kind: 'skipped', code: 'other-filesystem' }]);
  const crossing = { oneFilesystem: false, excludes: ['/far'] };
  t.same((await scan([source(root, crossing)])).below(root), [`${root}/near`]);
});

t.test('the same folder by a bind mount comes twice, as one file system', async (t) => {
  using folder = temporaryFolder('bind');
  const root = folder.path;
  fs.mkdirSync(`${root}/real`);
  fs.writeFileSync(`${root}/real/file`, 'x');
  using _bind = mounted(`${root}/again`, ['--bind', `${root}/real`]);
  const scanned = await scan([source(root)]);
  t.ok(scanned.has(`${root}/again/file`));
  t.equal(scanned.entry(`${root}/again/file`).inode, scanned.entry(`${root}/real/file`).inode);
  t.equal(scanned.entry(`${root}/again/file`).filesystem, scanned.entry(`${root}/real/file`).filesystem);
});

t.test('on XFS holes, ACLs and times are read as on ext4', async (t) => {
  using folder = temporaryFolder('xfs');
  const image = `${folder.path}/image`;
  fs.writeFileSync(image, '');
  fs.truncateSync(image, 320 * 1024 * 1024);
  execFileSync('mkfs.xfs', ['-q', image]);
  const root = `${folder.path}/xfs`;
  using _xfs = mounted(root, ['-o', 'loop', image]);
  const fd = fs.openSync(`${root}/sparse`, 'w');
  fs.ftruncateSync(fd, 1_048_576);
  fs.writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 524_288);
  fs.closeSync(fd);
  execFileSync('sync', ['-f', root]);
  execFileSync('setfacl', ['-m', 'u:33:r', `${root}/sparse`]);
  const scanned = await scan([source(root)]);
  const entry = scanned.entry(`${root}/sparse`);
  t.same(entry.extents, [{ offsetBytes: 524_288, lengthBytes: 4096 }]);
  t.equal(entry.acl?.access?.length, 5);
  t.equal(entry.xattrs, undefined, 'what XFS keeps the ACL in is no attribute of its own');
  t.equal(scanned.mountPoints[entry.filesystem], root);
});

t.test('subvolumes of btrfs are file systems of their own, and their inodes never mix', async (t) => {
  using folder = temporaryFolder('btrfs');
  const image = `${folder.path}/image`;
  fs.writeFileSync(image, '');
  fs.truncateSync(image, 128 * 1024 * 1024);
  execFileSync('mkfs.btrfs', ['-q', image]);
  const root = `${folder.path}/btrfs`;
  using _btrfs = mounted(root, ['-o', 'loop', image]);
  for (const name of ['one', 'two']) {
    execFileSync('btrfs', ['-q', 'subvolume', 'create', `${root}/${name}`]);
    fs.writeFileSync(`${root}/${name}/file`, name);
    fs.linkSync(`${root}/${name}/file`, `${root}/${name}/link`);
  }
  t.equal(fs.statSync(`${root}/one/file`).ino, fs.statSync(`${root}/two/file`).ino);
  const one = await scan([source(root)]);
  t.same(one.below(root), [`${root}/one`, `${root}/two`]);
  const all = await scan([source(root, { oneFilesystem: false })]);
  const inode = (path: string) => all.entry(`${root}/${path}`).inode;
  t.equal(inode('one/file'), inode('one/link'));
  t.not(inode('one/file'), inode('two/file'));
});

t.test(
  'an overlay of two file systems is one source: files of either layer are in it, and never mix',
  async (t) => {
    using folder = temporaryFolder('overlay');
    const root = folder.path;
    const image = `${root}/image`;
    fs.writeFileSync(image, '');
    fs.truncateSync(image, 32 * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', image]);
    using _lower = mounted(`${root}/lower`, ['-o', 'loop', image]);
    using _upper = mounted(`${root}/upper`, ['-t', 'tmpfs', 'tmpfs']);
    for (const name of ['files', 'work']) fs.mkdirSync(`${root}/upper/${name}`);
    fs.mkdirSync(`${root}/lower/folder`);
    fs.writeFileSync(`${root}/lower/folder/below`, 'x');
    const layers = `lowerdir=${root}/lower,upperdir=${root}/upper/files,workdir=${root}/upper/work,xino=off`;
    const place = `${root}/merged`;
    using _merged = mounted(place, ['-t', 'overlay', 'overlay', '-o', layers]);
    fs.writeFileSync(`${place}/folder/above`, 'y');
    fs.symlinkSync('above', `${place}/folder/link`);
    fs.writeFileSync(`${place}/mounted-over`, '');
    fs.writeFileSync(`${root}/lower-file`, '');
    execFileSync('mount', ['--bind', '/etc/hostname', `${place}/mounted-over`]);
    try {
      t.not(fs.statSync(place).dev, fs.statSync(`${place}/folder/below`).dev, 'it is such an overlay');
      for (const oneFilesystem of [true, false]) {
        const scanned = await scan([source(place, { oneFilesystem })]);
        const found = scanned.below(place);
        for (const name of ['above', 'below', 'link']) t.ok(found.includes(`${place}/folder/${name}`), name);
        t.equal(found.includes(`${place}/mounted-over`), !oneFilesystem, 'a file that is mounted over');
        const [above, below] = ['above', 'below'].map((name) => scanned.entry(`${place}/folder/${name}`));
        t.equal(scanned.mountPoints[above?.filesystem ?? -1], place);
        t.equal(scanned.mountPoints[below?.filesystem ?? -1], place);
        t.not(
          below?.inode,
          fs.statSync(`${place}/folder/below`, { bigint: true }).ino,
          'its number is its layer\u2019s',
        );
      }
    } finally {
      execFileSync('umount', [`${place}/mounted-over`]);
    }
  },
);

t.test('a source that went away, or lies on another file system, is noticed when all was read', async (t) => {
  using folder = temporaryFolder('away');
  const plan = (path: string) => ({
    sources: [{ path: Buffer.from(path), excludes: [], oneFilesystem: true, honourMarkers: true }],
    onProblem: () => undefined,
  });
  for (const [name, goes] of [
    ['moved', (path: string) => fs.renameSync(path, `${path}-away`)],
    ['unmounted', (path: string) => execFileSync('umount', [path])],
  ] as const) {
    const path = `${folder.path}/${name}`;
    fs.mkdirSync(path);
    if (name === 'unmounted') execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path]);
    fs.writeFileSync(`${path}/file`, 'x');
    const tree = openSourceTree();
    const survey = await tree.survey(plan(path));
    t.doesNotThrow(() => tree.confirm(survey));
    goes(path);
    t.throws(() => tree.confirm(survey), { code: 'SOURCE_SUSPICIOUS' }, name);
    tree.close();
  }
});

t.test('ACLs are not lost to a folder that is swapped for one of a file system without them', async (t) => {
  using folder = temporaryFolder('swapped');
  const root = `${folder.path}/source`;
  fs.mkdirSync(`${root}/a`, { recursive: true });
  for (let index = 0; index < 1500; index++) fs.writeFileSync(`${root}/a/${index}`, '');
  fs.writeFileSync(`${root}/z`, '');
  execFileSync('setfacl', ['-m', 'u:33:r', `${root}/z`]);
  await using _server = await served(
    'attributeless-server.py',
    `${folder.path}/other`,
    `${folder.path}/said`,
  );
  const tree = openSourceTree();
  const rules = { path: Buffer.from(root), excludes: [], oneFilesystem: true, honourMarkers: true };
  const plan = { sources: [rules], onProblem: () => undefined };
  const found = new Map<string, Entry>();
  for await (const batch of tree.scan(plan, await tree.survey(plan), {
    signal: new AbortController().signal,
  })) {
    for (const entry of batch) found.set(entry.path.toString(), entry);
    if (fs.existsSync(`${root}/away`)) continue;
    fs.renameSync(`${root}/a`, `${root}/away`);
    fs.symlinkSync(`${folder.path}/other`, `${root}/a`);
  }
  tree.close();
  t.equal([...found.keys()].filter((path) => path.includes('/a/')).length, 1500);
  t.equal(found.get(`${root}/z`.slice(1))?.acl?.access?.length, 5);
});
