import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import t from 'tap';
import { comparePaths } from '@bakker/impl-format';
import { makeNode, setMtime } from '@bakker/linux';
import { scan, source, temporaryFolder } from './tree.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

t.test('every type of file is described as the kernel has it', async (t) => {
  using folder = temporaryFolder('types');
  const root = folder.path;
  fs.writeFileSync(`${root}/file`, 'content', { mode: 0o640 });
  fs.chownSync(`${root}/file`, 33, 12345);
  fs.chmodSync(`${root}/file`, 0o6755);
  fs.linkSync(`${root}/file`, `${root}/link`);
  fs.mkdirSync(`${root}/sticky`);
  fs.chmodSync(`${root}/sticky`, 0o1777);
  fs.symlinkSync(latin1('nowhere/\xff'), `${root}/symlink`);
  makeNode(Buffer.from(`${root}/fifo`), { type: 'fifo', mode: 0o600 });
  makeNode(Buffer.from(`${root}/char`), { type: 'char', mode: 0o600, device: { major: 1, minor: 3 } });
  makeNode(Buffer.from(`${root}/block`), {
    type: 'block',
    mode: 0o600,
    device: { major: 259, minor: 70_000 },
  });
  const server = createServer().listen(`${root}/socket`);
  await new Promise((resolve) => server.once('listening', resolve));
  setMtime(Buffer.from(`${root}/file`), 1_234_567_890_123_456_789n);
  setMtime(Buffer.from(`${root}/symlink`), -1n);

  const scanned = await scan([source(root)]);
  server.close();
  const types = scanned.below(root).map((path) => [path.slice(root.length + 1), scanned.entry(path).type]);
  t.same(types, [
    ['block', 'block'],
    ['char', 'char'],
    ['fifo', 'fifo'],
    ['file', 'file'],
    ['link', 'file'],
    ['socket', 'socket'],
    ['sticky', 'directory'],
    ['symlink', 'symlink'],
  ]);
  t.match(scanned.entry(`${root}/file`), {
    sizeBytes: 7,
    mode: 0o6755,
    uid: 33,
    gid: 12345,
    user: 'www-data',
    linkCount: 2,
    stored: { kind: 'own' },
  });
  const stat = fs.lstatSync(`${root}/file`, { bigint: true });
  t.equal(scanned.entry(`${root}/file`).mtimeNs, 1_234_567_890_123_456_789n);
  t.equal(scanned.entry(`${root}/file`).ctimeNs, stat.ctimeNs);
  t.equal(scanned.entry(`${root}/file`).inode, stat.ino);
  t.equal(scanned.entry(`${root}/link`).inode, stat.ino);
  t.notOk('group' in scanned.entry(`${root}/file`), 'a group without a name has none');
  t.equal(scanned.entry(`${root}/sticky`).mode, 0o1777);
  t.equal(scanned.entry(`${root}/sticky`).sizeBytes, 0);
  t.same(scanned.entry(`${root}/symlink`).target, latin1('nowhere/\xff'));
  t.equal(scanned.entry(`${root}/symlink`).mtimeNs, -1n);
  t.same(scanned.entry(`${root}/char`).device, { major: 1, minor: 3 });
  t.same(scanned.entry(`${root}/block`).device, { major: 259, minor: 70_000 });
  t.same(scanned.entry(`${root}/fifo`).stored, { kind: 'manifest' });
  t.same(scanned.problems, []);
});

t.test('ACLs, capabilities and other extended attributes are read, of symlinks too', async (t) => {
  using folder = temporaryFolder('xattrs');
  const root = folder.path;
  for (const name of ['acl', 'minimal', 'plain', 'tagged']) fs.writeFileSync(`${root}/${name}`, '');
  fs.mkdirSync(`${root}/inherits`);
  fs.symlinkSync('tagged', `${root}/symlink`);
  execFileSync('setfacl', ['-m', 'u:www-data:r,g:54321:rx', `${root}/acl`]);
  execFileSync('setfacl', ['-d', '-m', 'u:daemon:rwx', `${root}/inherits`]);
  execFileSync('setfattr', ['-n', 'user.b', '-v', '0x00ff', `${root}/tagged`]);
  execFileSync('setfattr', ['-n', 'user.a', '-v', '', `${root}/tagged`]);
  execFileSync('setfattr', ['-h', '-n', 'trusted.of-the-link', '-v', 'x', `${root}/symlink`]);
  fs.copyFileSync('/bin/true', `${root}/capable`);
  execFileSync('setcap', ['cap_net_raw+ep', `${root}/capable`]);

  const scanned = await scan([source(root)]);
  t.same(scanned.entry(`${root}/acl`).acl, {
    access: [
      { tag: 'user-obj', perms: 6 },
      { tag: 'user', perms: 4, id: 33, name: 'www-data' },
      { tag: 'group-obj', perms: 4 },
      { tag: 'group', perms: 5, id: 54321 },
      { tag: 'mask', perms: 5 },
      { tag: 'other', perms: 4 },
    ],
  });
  t.notOk('xattrs' in scanned.entry(`${root}/acl`), 'an ACL is no extended attribute besides');
  t.same(Object.keys(scanned.entry(`${root}/inherits`).acl ?? {}), ['default']);
  t.same(scanned.entry(`${root}/tagged`).xattrs, [
    { name: Buffer.from('user.a'), value: Buffer.alloc(0) },
    { name: Buffer.from('user.b'), value: Buffer.of(0, 0xff) },
  ]);
  t.same(scanned.entry(`${root}/symlink`).xattrs, [
    { name: Buffer.from('trusted.of-the-link'), value: Buffer.from('x') },
  ]);
  t.match(scanned.entry(`${root}/capable`).xattrs, [{ name: Buffer.from('security.capability') }]);
  t.notOk('xattrs' in scanned.entry(`${root}/plain`));
  t.notOk('acl' in scanned.entry(`${root}/plain`));
});

t.test('holes are found on ext4, and only there', async (t) => {
  using folder = temporaryFolder('holes');
  const root = folder.path;
  fs.writeFileSync(`${root}/dense`, Buffer.alloc(65_536, 1));
  fs.truncateSync((fs.writeFileSync(`${root}/hollow`, ''), `${root}/hollow`), 1_000_000);
  const fd = fs.openSync(`${root}/sparse`, 'w');
  fs.ftruncateSync(fd, 3_000_001);
  fs.writeSync(fd, 'x', 1_048_576);
  fs.writeSync(fd, 'y', 3_000_000);
  fs.closeSync(fd);
  const scanned = await scan([source(root)]);
  t.notOk('extents' in scanned.entry(`${root}/dense`));
  t.same(scanned.entry(`${root}/hollow`).extents, []);
  t.same(scanned.entry(`${root}/sparse`).extents, [
    { offsetBytes: 1_048_576, lengthBytes: 4096 },
    { offsetBytes: 2_998_272, lengthBytes: 1729 },
  ]);
});

t.test('names of any bytes come in manifest order', async (t) => {
  using folder = temporaryFolder('names');
  const root = folder.path;
  const names = ['\n', ' ', '\x01', '\x7f', '\xff', '\xc3\x28', '-rf', '\\', 'a', 'a.b', 'a-', 'a0', 'é'].map(
    latin1,
  );
  names.push(Buffer.alloc(255, 0xfe), Buffer.alloc(255, 'x'));
  for (const name of names) {
    fs.mkdirSync(Buffer.concat([latin1(`${root}/`), name]));
    fs.writeFileSync(Buffer.concat([latin1(`${root}/`), name, latin1('/in')]), '');
  }
  const scanned = await scan([source(root)]);
  const found = scanned.entries.map(({ path }) => path);
  t.same(found, found.toSorted(comparePaths));
  t.equal(scanned.below(root).length, 2 * names.length);
  for (const name of names)
    t.ok(scanned.has(`${root}/${name.toString('latin1')}/in`), JSON.stringify(name.toString('latin1')));
});

t.test('a folder with 50,000 names comes whole, in order, in batches', async (t) => {
  using folder = temporaryFolder('many');
  const root = folder.path;
  for (let number = 0; number < 50_000; number++) fs.writeFileSync(`${root}/${number}`, '');
  const scanned = await scan([source(root)]);
  const found = scanned.below(root);
  t.equal(found.length, 50_000);
  t.same(found, found.toSorted());
  t.ok(Math.max(...scanned.batchSizes) <= 1024);
});

t.test('the folders above a source are there once, with their own metadata', async (t) => {
  using folder = temporaryFolder('above');
  const root = folder.path;
  fs.mkdirSync(`${root}/a/b/c`, { recursive: true });
  fs.mkdirSync(`${root}/a/d`);
  fs.writeFileSync(`${root}/a/not-asked-for`, '');
  fs.chmodSync(`${root}/a`, 0o711);
  const scanned = await scan([source(`${root}/a/d`), source(`${root}/a/b/c`)]);
  t.same(
    scanned.entries.map(({ path }) => `/${path.toString()}`),
    ['/tmp', root, `${root}/a`, `${root}/a/b`, `${root}/a/b/c`, `${root}/a/d`],
  );
  t.equal(scanned.entry(`${root}/a`).mode, 0o711);
});

t.test('sources in each other are merged, and the inner one keeps its own rules', async (t) => {
  using folder = temporaryFolder('nested');
  const root = folder.path;
  for (const path of ['outer/skipped/inner/x', 'outer/y'])
    fs.mkdirSync(`${root}/${path}`, { recursive: true });
  for (const path of [
    'outer/1.tmp',
    'outer/skipped/gone',
    'outer/skipped/inner/2.tmp',
    'outer/skipped/inner/3.log',
  ]) {
    fs.writeFileSync(`${root}/${path}`, '');
  }
  const scanned = await scan([
    source(`${root}/outer/skipped/inner`, { excludes: ['*.log'] }),
    source(`${root}/outer`, { excludes: ['*.tmp', 'skipped'] }),
    source(`${root}/outer/y`),
  ]);
  t.same(scanned.below(`${root}/outer`), [
    `${root}/outer/skipped`,
    `${root}/outer/skipped/inner`,
    `${root}/outer/skipped/inner/2.tmp`,
    `${root}/outer/skipped/inner/x`,
    `${root}/outer/y`,
  ]);
});

t.test('folders that ask for it are left out, but for themselves and the marker', async (t) => {
  using folder = temporaryFolder('markers');
  const root = folder.path;
  for (const name of ['cache', 'fake', 'private', 'ignored']) {
    fs.mkdirSync(`${root}/${name}/below`, { recursive: true });
    fs.writeFileSync(`${root}/${name}/content`, '');
  }
  fs.mkdirSync(`${root}/ignored/.nobackup`);
  fs.writeFileSync(`${root}/cache/CACHEDIR.TAG`, 'Signature: 8a477f597d28d172789f06886806bc55\n# a cache\n');
  fs.writeFileSync(`${root}/fake/CACHEDIR.TAG`, 'Signature: none');
  fs.writeFileSync(`${root}/private/.nobackup`, '');
  const scanned = await scan([source(root), source(`${root}/private/below`)]);
  t.same(scanned.below(`${root}/cache`), [`${root}/cache/CACHEDIR.TAG`]);
  t.same(scanned.below(`${root}/private`), [`${root}/private/.nobackup`, `${root}/private/below`]);
  t.same(scanned.below(`${root}/fake`).length, 3);
  t.same(scanned.below(`${root}/ignored`).length, 3, 'only a file is a marker');
  t.same(
    scanned.problems.map(({ kind, code, path }) => [kind, code, `/${path.toString()}`]),
    [
      ['skipped', 'CACHEDIR.TAG', `${root}/cache`],
      ['skipped', '.nobackup', `${root}/private`],
    ],
  );
  const all = await scan([source(root, { honourMarkers: false })]);
  t.ok(all.has(`${root}/cache/content`));
});

t.test('paths longer than one call takes are reached, and those beyond the format are named', async (t) => {
  using folder = temporaryFolder('deep');
  const root = folder.path;
  const name = 'd'.repeat(200);
  // Step by step: no path here is longer than the kernel takes.
  const script = `chdir $ARGV[0]; for (1..21) { mkdir $ARGV[1] and chdir $ARGV[1] and open(F, '>f') or die $!;
    system('setfattr -n user.deep -v 1 f') == 0 or die }`;
  execFileSync('perl', ['-e', script, root, name]);
  const scanned = await scan([source(root)]);
  const lengths = scanned.entries.map(({ path }) => path.length);
  t.ok(Math.max(...lengths) <= 4096);
  t.same([...new Set(scanned.problems.map(({ kind, code }) => `${kind} ${code}`))], ['missing ENAMETOOLONG']);
  t.equal(
    scanned.entries.filter(({ xattrs }) => xattrs !== undefined).length,
    20,
    'their attributes are read too',
  );
  for (const entry of scanned.entries) {
    if (entry.type === 'file') t.equal(scanned.tree.readWhole(entry).content.length, 0);
  }
});

t.test('a name that is longer than PATH_MAX by a hair is reached and read', async (t) => {
  using folder = temporaryFolder('hair');
  const root = folder.path;
  const name = 'd'.repeat(200);
  const rest = 4096 - (root.length - 1) - 20 * 201 - 1; // the entry's path is then 4,096 bytes, the absolute one 4,097
  const script = `chdir $ARGV[0]; for (1..20) { mkdir $ARGV[1] and chdir $ARGV[1] or die $! }
    open(F, ">$ARGV[2]") or die $!; print F 'deep'`;
  execFileSync('perl', ['-e', script, root, name, 'f'.repeat(rest)]);
  const scanned = await scan([source(root)]);
  const entry = scanned.entries.at(-1);
  t.equal(entry?.path.length, 4096);
  t.same(scanned.problems, []);
  if (entry !== undefined) t.equal(scanned.tree.readWhole(entry).content.toString(), 'deep');
});

t.test('hundreds of levels need no more open folders than a process may have', async (t) => {
  using folder = temporaryFolder('levels');
  fs.mkdirSync(`${folder.path}${'/d'.repeat(400)}`, { recursive: true });
  for (const depth of [10, 200, 399]) fs.writeFileSync(`${folder.path}${'/d'.repeat(depth)}/z`, '');
  const scanned = await scan([source(folder.path)]);
  t.equal(scanned.below(folder.path).length, 403);
  t.equal(fs.readdirSync('/proc/self/fd').length < 60, true, 'all are closed afterwards');
});
