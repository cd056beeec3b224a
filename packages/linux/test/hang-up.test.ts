import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { FolderHandle, openFolder } from '../src/beneath.ts';
import { hasHungUp } from '../src/hang-up.ts';
import { libc } from '../src/libc.ts';
import { tryLockByte } from '../src/locks.ts';

const folder = mkdtempSync('/tmp/bakker-linux-hang-up-');
t.teardown(() => rmSync(folder, { recursive: true }));

/** Node keeps the number of a stream's descriptor to itself. */
function descriptorOf(stream: unknown): number {
  const handle = (stream as { _handle?: { fd?: number } })._handle;
  if (typeof handle?.fd !== 'number') throw new Error('a stream without a descriptor');
  return handle.fd;
}

t.test('a pipe has hung up when its reader has ended, and not before', async (t) => {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  const fd = descriptorOf(child.stdin);
  t.notOk(hasHungUp(fd));
  child.kill();
  await once(child, 'exit');
  t.ok(hasHungUp(fd));
});

t.test(
  'a socket has hung up when the other end is closed, not when it only says that it is done',
  async (t) => {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((done) => server.listen(`${folder}/socket`, done));
    const accepted = once(server, 'connection');
    const client = connect({ path: `${folder}/socket`, allowHalfOpen: true });
    const [socket] = (await accepted) as [Socket];
    const fd = descriptorOf(socket);
    t.notOk(hasHungUp(fd));
    client.end();
    socket.resume();
    await once(socket, 'end');
    t.notOk(hasHungUp(fd), 'it still reads');
    client.destroy();
    while (!hasHungUp(fd)) await delay(5);
    socket.destroy();
    server.close();
  },
);

t.test('each byte of a file is a lock of its own, and goes with the opening that took it', async (t) => {
  const [one, other] = [openSync(`${folder}/locks`, 'w'), openSync(`${folder}/locks`, 'r+')];
  t.ok(tryLockByte(one, 7));
  t.notOk(tryLockByte(other, 7));
  t.ok(tryLockByte(other, 8));
  closeSync(one);
  t.ok(tryLockByte(other, 7));
  closeSync(other);
  t.throws(() => tryLockByte(-1, 0), { code: 'EBADF' });
});

t.test('a folder that was closed reaches nothing, whatever has its number since', async (t) => {
  const closed = openFolder(Buffer.from(folder));
  const number = closed.fd;
  closed[Symbol.dispose]();
  using next = openFolder(Buffer.from('/etc'));
  t.equal(next.fd, number, 'the number is used again');
  t.ok(next instanceof FolderHandle);
  t.equal(libc().mkdirat(closed.fd, Buffer.from('x\0'), 0o700), -1);
  t.equal(libc().errno(), 9, 'EBADF');
  t.throws(() => closed.at(Buffer.from('passwd')), /after it was closed/);
});
