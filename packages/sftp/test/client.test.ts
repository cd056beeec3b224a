import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import type { SftpStatusError } from '../src/errors.ts';
import { EXTENSION, MAX_WRITE_BYTES, OPEN, STATUS } from '../src/protocol.ts';
import { realServer } from './real-server.ts';

const sorted = (names: Buffer[]): string[] => names.map((name) => name.toString('hex')).sort();
const NEW_FILE = OPEN.WRITE | OPEN.CREATE | OPEN.EXCLUSIVE;
const statusOf = (promise: Promise<unknown>): Promise<number | undefined> =>
  promise.then(
    () => STATUS.OK,
    (error: SftpStatusError) => error.status,
  );

t.test('the extensions of OpenSSH are seen', async (t) => {
  const { client } = await realServer(t);
  for (const name of Object.values(EXTENSION)) t.ok(client.has(name), name);
  t.equal(client.extensions.get('statvfs@openssh.com'), '2');
  t.notOk(client.has('nothing@example.org'));
});

t.test('a file is written, read back and described', async (t) => {
  const { client, at, folder } = await realServer(t);
  const handle = await client.open(at('file'), NEW_FILE, { permissions: 0o640 });
  await client.write(handle, 0, Buffer.from('hello '));
  await client.write(handle, 6, Buffer.from('world'));
  await client.fsetstat(handle, { atimeS: 1_000_000_000, mtimeS: 1_700_000_000 });
  await client.fsync(handle);
  const described = await client.fstat(handle);
  await client.close(handle);
  t.strictSame(await client.stat(at('file')), described);
  t.match(described, { sizeBytes: 11, permissions: 0o100640, uid: 0, gid: 0, mtimeS: 1_700_000_000 });
  t.equal(described.atimeS, 1_000_000_000);
  t.equal(readFileSync(`${folder}/file`, 'utf8'), 'hello world');

  const again = await client.open(at('file'), OPEN.READ);
  t.equal((await client.read(again, 6, 100)).toString(), 'world');
  t.equal((await client.read(again, 11, 100)).length, 0, 'at the end comes an empty Buffer');
  await client.close(again);
  t.equal(await statusOf(client.read(again, 0, 1)), STATUS.FAILURE, 'a closed handle is refused');
});

t.test('attributes are set by path, by handle and on a symlink itself', async (t) => {
  const { client, at, folder } = await realServer(t);
  writeFileSync(`${folder}/file`, '0123456789');
  await client.setstat(at('file'), { sizeBytes: 4, permissions: 0o4755, uid: 1234, gid: 2345 });
  await client.setstat(at('file'), { permissions: 0o4755, atimeS: 5, mtimeS: 4_000_000_000 });
  const set = statSync(`${folder}/file`);
  t.strictSame([set.size, set.mode, set.uid, set.gid], [4, 0o104755, 1234, 2345]);
  t.equal(set.mtimeMs, 4_000_000_000_000);

  symlinkSync('file', `${folder}/link`);
  await client.lsetstat(at('link'), { uid: 77, gid: 78, atimeS: 1, mtimeS: 2 });
  const link = lstatSync(`${folder}/link`);
  t.strictSame([link.uid, link.gid, link.mtimeMs], [77, 78, 2000]);
  t.equal(statSync(`${folder}/file`).uid, 1234);
  t.equal((await client.lstat(at('link'))).permissions, 0o120777);
  t.equal((await client.stat(at('link'))).permissions, 0o104755);

  await client.setstat(at('file'), { atimeS: -5, mtimeS: 2 ** 33 });
  t.match(
    await client.stat(at('file')),
    { atimeS: 0, mtimeS: 2 ** 32 - 1 },
    'times that do not fit are the nearest',
  );
});

t.test('names are made, moved, linked and removed', async (t) => {
  const { client, at, folder } = await realServer(t);
  await client.mkdir(at('dir'), { permissions: 0o700 });
  t.equal(statSync(`${folder}/dir`).mode, 0o040700);
  writeFileSync(`${folder}/a`, 'a');
  writeFileSync(`${folder}/b`, 'b');
  await client.hardlink(at('a'), at('dir/a2'));
  t.equal(statSync(`${folder}/dir/a2`).ino, statSync(`${folder}/a`).ino);
  t.equal(await statusOf(client.rename(at('a'), at('b'))), STATUS.FAILURE, 'rename does not replace');
  await client.posixRename(at('a'), at('b'));
  t.equal(readFileSync(`${folder}/b`, 'utf8'), 'a', 'posix-rename does');
  await client.rename(at('b'), at('c'));
  t.equal(await statusOf(client.remove(at('dir'))), STATUS.FAILURE);
  t.equal((await client.realpath(at('dir/../c'))).toString(), `${folder}/c`);
  await client.remove(at('dir/a2'));
  await client.rmdir(at('dir'));
  t.strictSame(readdirSync(folder), ['c']);
});

t.test('a symlink says its target and lies at its own path', async (t) => {
  const { client, at, folder } = await realServer(t);
  await client.symlink(Buffer.from('any/where'), at('link'));
  t.equal(readlinkSync(`${folder}/link`), 'any/where');
  t.equal((await client.readlink(at('link'))).toString(), 'any/where');
});

t.test('the server tells its limits and its space', async (t) => {
  const { client, at } = await realServer(t);
  const limits = await client.limits();
  t.equal(limits.maxWriteBytes, MAX_WRITE_BYTES);
  t.ok(limits.maxOpenHandles > 100);
  const space = await client.statvfs(at(''));
  t.ok(
    space.blocks >= space.freeBlocks &&
      space.freeBlocks >= space.availableBlocks &&
      space.availableBlocks > 0,
  );
  t.ok(space.inodes > 0);
  t.equal(space.maxNameBytes, 255);
  t.equal(space.readOnly, false);
});

t.test('data is copied on the server', async (t) => {
  const { client, at, folder } = await realServer(t);
  const content = randomBytes(300_000);
  writeFileSync(`${folder}/old`, content);
  const from = await client.open(at('old'), OPEN.READ);
  const to = await client.open(at('new'), NEW_FILE);
  await client.copyData({ from, fromOffset: 1000, length: 5000, to, toOffset: 0 });
  await client.copyData({ from, fromOffset: 6000, length: 0, to, toOffset: 5000 });
  await Promise.all([client.close(from), client.close(to)]);
  t.ok(readFileSync(`${folder}/new`).equals(content.subarray(1000)));
});

t.test('every byte but NUL and / survives in a name', async (t) => {
  const { client, at, folder } = await realServer(t);
  const names: Buffer[] = [];
  for (let byte = 1; byte < 256; byte++) {
    if (byte !== 0x2f) names.push(Buffer.from([0x6e, byte, 0xff]));
  }
  await Promise.all(names.map((name) => client.mkdir(at(name))));
  const made = readdirSync(Buffer.from(folder), { encoding: 'buffer' });
  t.strictSame(sorted(made), sorted(names));
  const long = Buffer.alloc(255, 0xfe);
  await client.symlink(long, at(long));
  t.ok((await client.readlink(at(long))).equals(long));
  await t.rejects(client.lstat(at(Buffer.from([0xff, 0x0a]))), { message: /lstat .*\/\\xff\\x0a: / });
});

t.test('5,000 requests in flight are each answered with their own reply', async (t) => {
  const { client, at, folder } = await realServer(t);
  for (let index = 0; index < 500; index++) writeFileSync(`${folder}/${index}`, Buffer.alloc(index));
  const replies = [];
  for (let index = 0; index < 5000; index++) {
    replies.push(
      client.lstat(at(String(index % 600))).then(
        (found) => found.sizeBytes,
        () => 'missing',
      ),
    );
  }
  t.equal(client.pending, 5000);
  const sizes = await Promise.all(replies);
  t.equal(client.pending, 0);
  t.ok(sizes.every((size, index) => size === (index % 600 < 500 ? index % 600 : 'missing')));
});

t.test('offsets beyond 4 GiB', async (t) => {
  const { client, at, folder } = await realServer(t);
  const offset = 5 * 2 ** 32 + 12_345;
  const handle = await client.open(at('sparse'), NEW_FILE | OPEN.READ);
  await client.write(handle, offset, Buffer.from('far'));
  t.equal((await client.fstat(handle)).sizeBytes, offset + 3);
  t.equal((await client.read(handle, offset, 10)).toString(), 'far');
  await client.fsetstat(handle, { sizeBytes: offset + 1 });
  const local = openSync(`${folder}/sparse`, 'r+');
  const bytes = Buffer.alloc(1);
  readSync(local, bytes, 0, 1, offset);
  t.equal(bytes.toString(), 'f');
  t.equal(statSync(`${folder}/sparse`).size, offset + 1);
  ftruncateSync(local, 0);
  closeSync(local);
});

t.test('small and large writes keep their order and every byte', async (t) => {
  const { client, at, folder } = await realServer(t);
  const content = randomBytes(12 * 1024 * 1024);
  const handle = await client.open(at('big'), NEW_FILE);
  const sizes = [MAX_WRITE_BYTES, 1, 16 * 1024, 16 * 1024 + 1, 7, 100_000, 4096];
  for (let offset = 0, turn = 0; offset < content.length; turn++) {
    const piece = content.subarray(offset, offset + (sizes[turn % sizes.length] ?? 1));
    client.write(handle, offset, piece).catch((error: unknown) => t.fail(String(error)));
    await client.below(16);
    await client.drained();
    offset += piece.length;
  }
  await client.close(handle);
  t.ok(readFileSync(`${folder}/big`).equals(content));
  t.ok(client.bytesSent > content.length);

  const reading = await client.open(at('big'), OPEN.READ);
  const pieces = [];
  for (let offset = 0; offset < content.length; offset += MAX_WRITE_BYTES) {
    pieces.push(client.read(reading, offset, MAX_WRITE_BYTES));
  }
  t.ok(Buffer.concat(await Promise.all(pieces)).equals(content));
  t.ok(client.bytesReceived > content.length);
});

t.test('errors carry the status and name the request and the path', async (t) => {
  const { client, at, folder } = await realServer(t);
  mkdirSync(`${folder}/full`);
  writeFileSync(`${folder}/full/x`, '');
  t.equal(await statusOf(client.lstat(at('none'))), STATUS.NO_SUCH_FILE);
  t.equal(await statusOf(client.rmdir(at('full'))), STATUS.FAILURE);
  t.equal(await statusOf(client.open(at('full/x'), NEW_FILE)), STATUS.FAILURE);
  t.equal(await statusOf(client.readlink(at('full/x'))), STATUS.BAD_MESSAGE);
  t.equal(await statusOf(client.remove(Buffer.from('/proc/1/comm'))), STATUS.PERMISSION_DENIED);
  await t.rejects(client.hardlink(at('none'), at('new\u001b[2J')), {
    name: 'SftpStatusError',
    status: STATUS.NO_SUCH_FILE,
    message: `hardlink ${folder}/none -> ${folder}/new\\x1b[2J: No such file (SFTP status 2)`,
  });
  t.equal(existsSync(`${folder}/full/x`), true);
});

t.test('what cannot be sent is refused here, and the connection lives on', async (t) => {
  const { client, at } = await realServer(t);
  const handle = await client.open(at('file'), NEW_FILE);
  t.throws(() => client.lstat(Buffer.from('a\0b')), RangeError);
  t.throws(() => client.lstat(Buffer.alloc(40_000, 'a')), RangeError);
  t.throws(() => client.read(handle, -1, 10), RangeError);
  t.throws(() => client.write(handle, 2 ** 53, Buffer.alloc(1)), RangeError);
  t.throws(() => client.write(handle, 0.5, Buffer.alloc(1)), RangeError);
  t.throws(() => client.write(handle, 0, Buffer.alloc(MAX_WRITE_BYTES + 1)), RangeError);
  t.throws(() => client.setstat(at('file'), { uid: 1 }), TypeError);
  t.throws(() => client.setstat(at('file'), { mtimeS: 1 }), TypeError);
  t.throws(() => client.setstat(at('file'), { sizeBytes: -1 }), RangeError);
  t.equal(client.pending, 0);
  t.equal((await client.lstat(at('file'))).sizeBytes, 0);
});

t.test('a server killed in mid-flight rejects everything under way and all that follows', async (t) => {
  const { client, child, at } = await realServer(t);
  child.kill('SIGSTOP');
  const replies: Promise<unknown>[] = [];
  for (let index = 0; index < 3000; index++) replies.push(client.lstat(at(`${index}`)));
  replies.push(client.below(10), client.below(10));
  const settled = Promise.allSettled(replies);
  child.kill('SIGKILL');
  for (const result of await settled) {
    if (result.status === 'fulfilled' || !(result.reason instanceof Error)) t.fail('answered by nobody');
    else if (result.reason.name !== 'SftpConnectionError') t.fail(result.reason.message);
  }
  t.equal(client.pending, 0);
  t.equal(client.failure?.name, 'SftpConnectionError');
  await t.rejects(client.lstat(at('later')), { name: 'SftpConnectionError' });
  await t.rejects(client.below(10), { name: 'SftpConnectionError' });
  await t.rejects(client.drained(), { name: 'SftpConnectionError' });
});

t.test('after `end` what is under way is answered and the server goes', async (t) => {
  const { client, child, at } = await realServer(t);
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const under = Promise.all(Array.from({ length: 200 }, (_, index) => client.mkdir(at(`${index}`))));
  const ending = client.end();
  await t.rejects(client.mkdir(at('too-late')), { name: 'SftpConnectionError', message: /ended here/ });
  t.equal((await under).length, 200);
  await ending;
  t.equal(await exited, 0);
});
