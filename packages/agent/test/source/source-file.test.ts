import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import t from 'tap';
import { setMtime } from '@bakker/linux';
import { scan, source, temporaryFolder } from './tree.ts';

const MIB = 1024 * 1024;

t.test('a file that has not changed keeps the entry of the scan', async (t) => {
  const path = fs.realpathSync('/usr/bin/true');
  const scanned = await scan([source(path)]);
  const entry = scanned.entry(path);
  const whole = scanned.tree.readWhole(entry);
  t.equal(whole.entry, entry);
  t.equal(whole.isChanging, false);
  t.ok(whole.content.equals(fs.readFileSync(path)));
});

t.test('a file that changed since the scan is described as it was read', async (t) => {
  using folder = temporaryFolder('changed');
  const path = `${folder.path}/file`;
  fs.writeFileSync(path, 'before');
  const scanned = await scan([source(folder.path)]);
  fs.renameSync(path, `${path}.old`);
  fs.writeFileSync(path, 'afterwards', { mode: 0o600 });
  fs.chownSync(path, 33, 33);
  setMtime(Buffer.from(path), 7_000_000_001n);
  execFileSync('setfattr', ['-n', 'user.new', '-v', 'x', path]);
  const { entry, content, isChanging } = scanned.tree.readWhole(scanned.entry(path));
  t.equal(content.toString(), 'afterwards');
  t.match(entry, { sizeBytes: 10, mode: 0o600, user: 'www-data', mtimeNs: 7_000_000_001n });
  t.match(entry.xattrs, [{ name: Buffer.from('user.new') }]);
  t.equal(entry.inode, fs.statSync(path, { bigint: true }).ino);
  t.equal(isChanging, false);
});

t.test(
  'a file written within the last two seconds is unsettled: its times could not tell a second write',
  async (t) => {
    using folder = temporaryFolder('racy');
    fs.writeFileSync(`${folder.path}/file`, 'x');
    const scanned = await scan([source(folder.path)]);
    const entry = scanned.entry(`${folder.path}/file`);
    t.equal(scanned.tree.readWhole(entry).entry.unsettled, true);
    await using open = scanned.tree.openFile(entry);
    t.equal(open.entry.unsettled, true);
  },
);

t.test('a file that never holds still is kept as it was read, and said to be changing', async (t) => {
  using folder = temporaryFolder('restless');
  const path = `${folder.path}/file`;
  fs.writeFileSync(path, 'x');
  fs.truncateSync(path, 48 * MIB);
  const scanned = await scan([source(folder.path)]);
  // Writes about every millisecond; one reading of the file takes several.
  const write =
    'open(F, "+<$ARGV[0]"); while (1) { sysseek(F, 0, 0); syswrite(F, chr(65 + $i++ % 26)) or die; select(undef, undef, undef, 0.0005) }';
  const writer = spawn('perl', ['-e', write, path]);
  try {
    const written = fs.lstatSync(path, { bigint: true }).ctimeNs;
    while (fs.lstatSync(path, { bigint: true }).ctimeNs === written)
      await new Promise((turn) => setTimeout(turn, 5));
    let whole = scanned.tree.readWhole(scanned.entry(path));
    for (let tries = 0; !whole.isChanging && tries < 100; tries++)
      whole = scanned.tree.readWhole(scanned.entry(path));
    t.equal(whole.isChanging, true);
    t.equal(whole.entry.unsettled, true);
    t.equal(whole.content.length, whole.entry.sizeBytes);
  } finally {
    writer.kill('SIGKILL');
  }
});

t.test('a file that became something else is stale, by whatever way', async (t) => {
  using folder = temporaryFolder('stale');
  const root = folder.path;
  for (const name of ['symlink', 'directory', 'fifo', 'gone']) fs.writeFileSync(`${root}/${name}`, 'x');
  fs.mkdirSync(`${root}/parent`);
  fs.writeFileSync(`${root}/parent/passwd`, 'x');
  const scanned = await scan([source(root)]);
  for (const name of ['symlink', 'directory', 'fifo', 'gone']) fs.rmSync(`${root}/${name}`);
  fs.symlinkSync('/etc/passwd', `${root}/symlink`);
  fs.mkdirSync(`${root}/directory`);
  execFileSync('mkfifo', [`${root}/fifo`]);
  fs.rmSync(`${root}/parent`, { recursive: true });
  fs.symlinkSync('/etc', `${root}/parent`);
  for (const name of ['symlink', 'directory', 'fifo', 'parent/passwd']) {
    const entry = scanned.entry(`${root}/${name}`);
    t.throws(() => scanned.tree.readWhole(entry), { code: 'ESTALE' }, name);
    t.throws(() => scanned.tree.openFile(entry), { code: 'ESTALE' }, name);
  }
  t.throws(() => scanned.tree.readWhole(scanned.entry(`${root}/gone`)), { code: 'ENOENT' });
});

t.test('reading leaves the access time alone', async (t) => {
  using folder = temporaryFolder('atime');
  const path = `${folder.path}/file`;
  fs.writeFileSync(path, 'x');
  fs.utimesSync(path, 1, 1000);
  const scanned = await scan([source(folder.path)]);
  scanned.tree.readWhole(scanned.entry(path));
  t.equal(fs.statSync(path).atimeMs, 1000);
});

t.test('a large file comes in pieces of its own, without its holes', async (t) => {
  using folder = temporaryFolder('pieces');
  const path = `${folder.path}/file`;
  const fd = fs.openSync(path, 'w');
  fs.writeSync(fd, Buffer.alloc(2 * MIB + 5, 1), 0, 2 * MIB + 5, 0);
  fs.writeSync(fd, Buffer.alloc(MIB, 2), 0, MIB, 8 * MIB);
  fs.ftruncateSync(fd, 20 * MIB + 1);
  fs.closeSync(fd);
  const scanned = await scan([source(folder.path)]);
  await using open = scanned.tree.openFile(scanned.entry(path));
  const content = Buffer.alloc(open.entry.sizeBytes);
  const buffers = new Set<ArrayBufferLike>();
  let dataBytes = 0;
  let pieces = 0;
  for await (const { offsetBytes, lengthBytes, bytes } of open.pieces()) {
    t.ok(bytes.length === lengthBytes && lengthBytes <= MIB);
    bytes.copy(content, offsetBytes);
    dataBytes += lengthBytes;
    buffers.add(bytes.buffer);
    pieces++;
  }
  t.equal(buffers.size, pieces, 'each buffer is the consumer’s');
  t.equal(dataBytes, 3 * MIB + 4096);
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  t.equal(digest(content), digest(fs.readFileSync(path)));
  t.ok(open.isUnchanged());
  t.ok(fs.fstatSync(open.descriptor).isFile());
});

t.test('a large file that changes under the reader says so, and one cut short ends early', async (t) => {
  using folder = temporaryFolder('grows');
  for (const name of ['grows', 'cut']) fs.writeFileSync(`${folder.path}/${name}`, Buffer.alloc(4 * MIB, 1));
  const scanned = await scan([source(folder.path)]);
  const readBytes = async (name: string, onFirst: (path: string) => void) => {
    const path = `${folder.path}/${name}`;
    await using open = scanned.tree.openFile(scanned.entry(path));
    let total = 0;
    for await (const { lengthBytes } of open.pieces()) {
      if (total === 0) onFirst(path);
      total += lengthBytes;
    }
    return { total, isUnchanged: open.isUnchanged() };
  };
  t.same(await readBytes('grows', (path) => fs.appendFileSync(path, 'more')), {
    total: 4 * MIB,
    isUnchanged: false,
  });
  t.same(await readBytes('cut', (path) => fs.truncateSync(path, MIB)), { total: MIB, isUnchanged: false });
});

t.test('a reader that stops in the middle leaves no file open', async (t) => {
  using folder = temporaryFolder('stops');
  fs.writeFileSync(`${folder.path}/file`, Buffer.alloc(3 * MIB));
  const scanned = await scan([source(folder.path)]);
  const before = fs.readdirSync('/proc/self/fd').length;
  {
    await using open = scanned.tree.openFile(scanned.entry(`${folder.path}/file`));
    for await (const piece of open.pieces()) if (piece.offsetBytes === 0) break;
    await open[Symbol.asyncDispose]();
  }
  t.equal(fs.readdirSync('/proc/self/fd').length, before);
});

t.test('a file that somebody has a lease on is read once he gave it back', async (t) => {
  using folder = temporaryFolder('leased');
  const path = `${folder.path}/file`;
  fs.writeFileSync(path, 'leased');
  const scanned = await scan([source(folder.path)]);
  const holder = spawn('python3', ['-c', HOLD_LEASE, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(holder, 'exit');
  await once(holder.stdout, 'data');
  const { content } = scanned.tree.readWhole(scanned.entry(path));
  t.equal(content.toString(), 'leased');
  t.same(await ended, [0, null], 'it was asked for it');
});

/** Holds the lease that whoever writes has, until the kernel says that somebody wants to read. */
const HOLD_LEASE = `
import fcntl, os, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
signal.sigwait([signal.SIGIO])
time.sleep(0.2)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
`;
