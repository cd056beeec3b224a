import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import t from 'tap';
import { openBeneath, openFolder, openFolderBeneath, openStepwise } from '../src/beneath.ts';
import { copyRange, reflink } from '../src/clone.ts';
import { cString } from '../src/libc.ts';
import { tryLock } from '../src/locks.ts';
import { parseMounts } from '../src/mounts.ts';
import { openNameService } from '../src/names.ts';
import { linkOpenFile, makeNode, renameNoReplace, splitDevice } from '../src/nodes.ts';
import { dataExtents, nextData, punchHole } from '../src/sparse.ts';
import { syncFilesystem } from '../src/sync.ts';
import { setMtime, setMtimeOf } from '../src/times.ts';
import { getXattr, listXattrs, removeXattrThrough, setXattr, setXattrOf } from '../src/xattrs.ts';
import { temporaryFolder } from './temporary-folder.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

t.test('extended attributes go in and out by names of any bytes', (t) => {
  using folder = temporaryFolder('xattr');
  const path = bytes(`${folder.path}/\xff`);
  fs.writeFileSync(path, '');
  const name = bytes('user.\xff');
  setXattr(path, { name, value: Buffer.of(0, 1) });
  setXattr(path, { name: 'user.big', value: Buffer.alloc(3000, 7) });
  t.same(
    listXattrs(path)
      .map((found) => found.toString('latin1'))
      .sort(),
    ['user.big', 'user.\xff'],
  );
  t.same(getXattr(path, name), Buffer.of(0, 1));
  t.equal(getXattr(path, 'user.big')?.length, 3000);
  const fd = fs.openSync(path, 'r');
  setXattrOf(fd, { name: 'user.open', value: Buffer.of(9) });
  fs.closeSync(fd);
  t.same(getXattr(path, 'user.open'), Buffer.of(9));
  removeXattrThrough(path, name);
  removeXattrThrough(path, name);
  t.equal(getXattr(path, name), undefined);
  t.throws(() => listXattrs(bytes(`${folder.path}/none`)), { code: 'ENOENT', errno: -2 });
  t.throws(() => setXattr(path, { name: 'nonsense', value: Buffer.alloc(0) }), { code: 'ENOTSUP' });
  t.throws(() => cString(bytes('a\0b')), { code: 'EINVAL' });
  t.end();
});

t.test('times are exact to the nanosecond, of symlinks and before 1970 too', (t) => {
  using folder = temporaryFolder('times');
  const path = `${folder.path}/file`;
  fs.writeFileSync(path, '');
  fs.symlinkSync('file', `${folder.path}/link`);
  const mtimeNs = (name: string) => fs.lstatSync(`${folder.path}/${name}`, { bigint: true }).mtimeNs;
  for (const timeNs of [1_700_000_000_123_456_789n, 0n, -1n, -1_000_000_000n, 4_294_967_296_000_000_001n]) {
    setMtime(bytes(`${folder.path}/link`), timeNs);
    t.equal(mtimeNs('link'), timeNs);
    t.not(mtimeNs('file'), timeNs);
    const fd = fs.openSync(path, 'r');
    setMtimeOf(fd, timeNs);
    fs.closeSync(fd);
    t.equal(mtimeNs('file'), timeNs);
  }
  t.end();
});

t.test('holes are found and made; ranges are copied in the kernel', (t) => {
  using folder = temporaryFolder('sparse');
  const from = fs.openSync(`${folder.path}/from`, 'w+');
  const to = fs.openSync(`${folder.path}/to`, 'w+');
  fs.writeSync(from, Buffer.alloc(65_536, 1));
  t.equal(dataExtents(from, 65_536), undefined);
  t.equal(dataExtents(from, 0), undefined);
  t.ok(punchHole(from, { offsetBytes: 4096, lengthBytes: 8192 }));
  t.same(dataExtents(from, 65_536), [
    { offsetBytes: 0, lengthBytes: 4096 },
    { offsetBytes: 12_288, lengthBytes: 53_248 },
  ]);
  t.same(
    dataExtents(from, 20_000)?.at(-1),
    { offsetBytes: 12_288, lengthBytes: 7712 },
    'cut at the size that is asked for',
  );
  t.ok(punchHole(from, { offsetBytes: 20_480, lengthBytes: 4096 }));
  t.same(
    dataExtents(from, 65_536, 2),
    [
      { offsetBytes: 0, lengthBytes: 4096 },
      { offsetBytes: 12_288, lengthBytes: 53_248 },
    ],
    'of more than are allowed, the smallest hole is data',
  );
  const fragments = fs.openSync(`${folder.path}/fragments`, 'w+');
  // fifty of a block with a block between them, a megabyte of nothing, one more, and nothing up to the end
  for (let i = 0; i < 50; i++) fs.writeSync(fragments, Buffer.alloc(4096, 1), 0, 4096, i * 8192);
  fs.writeSync(fragments, Buffer.alloc(4096, 1), 0, 4096, 1_458_176);
  fs.ftruncateSync(fragments, 104_857_600);
  t.same(dataExtents(fragments, 104_857_600, 2), [
    { offsetBytes: 0, lengthBytes: 49 * 8192 + 4096 },
    { offsetBytes: 1_458_176, lengthBytes: 4096 },
  ]);
  t.equal(dataExtents(fragments, 104_857_600, 51)?.length, 51);
  const some = dataExtents(fragments, 104_857_600, 20) ?? [];
  t.equal(some.length, 20, 'of holes that are alike, as many stay as may');
  t.same(some.at(-1), { offsetBytes: 1_458_176, lengthBytes: 4096 });
  t.same(nextData(from, 0, 65_536), { offsetBytes: 0, lengthBytes: 4096 });
  t.same(nextData(from, 5000, 65_536), { offsetBytes: 12_288, lengthBytes: 8192 });
  t.same(nextData(from, 13_000, 14_000), { offsetBytes: 13_000, lengthBytes: 1000 });
  t.equal(nextData(from, 5000, 12_288), undefined, 'a hole up to the end');
  t.equal(nextData(from, 65_536, 65_536), undefined);
  fs.closeSync(fragments);
  t.equal(reflink(from, to), false, 'ext4 can not');
  t.equal(copyRange({ fd: from, offsetBytes: 4090 }, { fd: to, offsetBytes: 10 }, 12), 12);
  t.same(
    fs.readFileSync(`${folder.path}/to`),
    Buffer.concat([Buffer.alloc(10), Buffer.alloc(6, 1), Buffer.alloc(6)]),
  );
  t.equal(copyRange({ fd: from, offsetBytes: 65_536 }, { fd: to, offsetBytes: 0 }, 12), 0);
  syncFilesystem(to);
  for (const fd of [from, to]) fs.closeSync(fd);
  t.end();
});

t.test('nodes, device numbers and renames that replace nothing', (t) => {
  using folder = temporaryFolder('nodes');
  const at = (name: string) => bytes(`${folder.path}/${name}`);
  const device = { major: 4095, minor: 1_048_575 };
  makeNode(at('char'), { type: 'char', mode: 0o600, device });
  t.same(splitDevice(fs.lstatSync(at('char'), { bigint: true }).rdev), device);
  t.equal(execFileSync('stat', ['-c', '%t:%T', at('char').toString()]).toString(), 'fff:fffff\n');
  makeNode(at('fifo'), { type: 'fifo', mode: 0o640 });
  t.ok(fs.lstatSync(at('fifo')).isFIFO());
  makeNode(at('socket'), { type: 'socket', mode: 0o640 });
  t.ok(fs.lstatSync(at('socket')).isSocket());
  t.throws(() => makeNode(at('fifo'), { type: 'fifo', mode: 0o640 }), { code: 'EEXIST' });
  t.throws(() => renameNoReplace(at('fifo'), at('socket')), { code: 'EEXIST' });
  renameNoReplace(at('fifo'), at('renamed'));
  t.ok(fs.existsSync(at('renamed')));
  const fd = fs.openSync(folder.path, fs.constants.O_RDWR | 0o20200000, 0o600); // O_TMPFILE
  fs.writeSync(fd, 'late');
  linkOpenFile(fd, at('named'));
  fs.closeSync(fd);
  t.equal(fs.readFileSync(at('named'), 'utf8'), 'late');
  t.end();
});

t.test('nothing is opened through a symlink or outside the root, with openat2 or without', (t) => {
  using folder = temporaryFolder('beneath');
  fs.mkdirSync(`${folder.path}/root/a/b`, { recursive: true });
  fs.writeFileSync(`${folder.path}/outside`, 'secret');
  fs.writeFileSync(`${folder.path}/root/a/b/file`, 'inside');
  fs.symlinkSync('../outside', `${folder.path}/root/leaf`);
  fs.symlinkSync('a', `${folder.path}/root/way`);
  fs.symlinkSync('/', `${folder.path}/root/top`);
  using root = openFolder(bytes(`${folder.path}/root`));
  for (const open of [openBeneath, openStepwise]) {
    const escapes = [
      'leaf',
      'way/b/file',
      'top/etc/passwd',
      '../outside',
      'a/../../outside',
      '/etc/passwd',
      'a/..',
    ];
    for (const path of escapes) {
      const attempt = () => fs.closeSync(open(root, bytes(path), { flags: fs.constants.O_RDONLY }));
      if (path === 'a/..' && open === openBeneath) continue; // stays below the root
      t.throws(attempt, { code: /^(ELOOP|ENOTDIR|EXDEV)$/ }, `${open.name} ${path}`);
    }
    const fd = open(root, bytes('a/b/file'), { flags: fs.constants.O_RDONLY });
    t.equal(fs.readFileSync(fd, 'utf8'), 'inside');
    fs.closeSync(fd);
    const flags = fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_WRONLY;
    fs.closeSync(open(root, bytes(`a/${open.name}`), { flags, mode: 0o600 }));
    t.throws(() => open(root, bytes('leaf'), { flags, mode: 0o600 }), { code: /^(EEXIST|ELOOP)$/ });
    t.throws(() => open(root, bytes('a/none'), { flags: 0 }), { code: 'ENOENT' });
  }
  using below = openFolderBeneath(root, bytes('a/b'));
  fs.renameSync(`${folder.path}/root/a`, `${folder.path}/root/moved`);
  t.equal(fs.readFileSync(below.at(bytes('file')), 'utf8'), 'inside', 'the handle stays where the folder is');
  t.end();
});

t.test('users and groups are found both ways', (t) => {
  const names = openNameService();
  t.equal(names.userName(33), 'www-data');
  t.equal(names.userId('www-data'), 33);
  t.equal(names.groupName(0), 'root');
  t.equal(names.groupId('daemon'), 1);
  for (const found of [names.userName(3_999_999_999), names.userId('no such'), names.groupId('no such')]) {
    t.equal(found, undefined);
  }
  t.end();
});

t.test('a lock is held by one, and dropped with its file', (t) => {
  using folder = temporaryFolder('lock');
  const open = () => fs.openSync(`${folder.path}/lock`, 'a');
  const first = open();
  const second = open();
  t.ok(tryLock(first));
  t.notOk(tryLock(second));
  fs.closeSync(first);
  t.ok(tryLock(second));
  fs.closeSync(second);
  t.end();
});

t.test('what an initrd mounted before the root comes after it: the root does not hide it', (t) => {
  const text = [
    '21 26 0:19 / /sys rw shared:7 - sysfs sysfs rw',
    '32 21 0:27 / /sys/fs/bpf rw - bpf bpf rw',
    '25 26 0:22 / /run rw shared:5 - tmpfs tmpfs rw',
    '26 1 254:0 / / rw shared:1 - ext4 /dev/vda rw',
    '40 26 254:1 / /srv/a rw - ext4 /dev/vdb rw',
    '41 26 254:2 / /srv rw - ext4 /dev/vdc rw',
  ].join('\n');
  t.same(
    parseMounts(bytes(text)).map(({ mountPoint }) => mountPoint.toString()),
    ['/', '/sys', '/sys/fs/bpf', '/run', '/srv/a', '/srv'],
  );
  t.end();
});

t.test('mountinfo is read with its escapes, optional fields or none', (t) => {
  const text = [
    '36 35 98:0 /mnt1 /mnt2/a\\040b\\012\\134\xff rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue',
    '37 1 0:5 / / rw - tmpfs  rw',
    'nonsense',
    '',
  ].join('\n');
  t.same(parseMounts(bytes(text)), [
    {
      mountPoint: bytes('/mnt2/a b\n\\\xff'),
      type: 'ext3',
      major: 98,
      minor: 0,
      root: bytes('/mnt1'),
      source: '/dev/root',
      peerGroup: 2,
    },
    {
      mountPoint: bytes('/'),
      type: 'tmpfs',
      major: 0,
      minor: 5,
      root: bytes('/'),
      source: '',
      peerGroup: undefined,
    },
  ]);
  t.end();
});
