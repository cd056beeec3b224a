import { spawn } from 'node:child_process';
import t from 'tap';
import { joinStreams } from '../src/join-streams.ts';
import { openSftp } from '../src/open-sftp.ts';
import { PACKET } from '../src/protocol.ts';
import { HandMadeServer, packet, string, u32, VERSION_3 } from './hand-made-server.ts';

t.test('the greeting is INIT with version 3', async (t) => {
  const server = new HandMadeServer();
  server.push(VERSION_3);
  await openSftp(server);
  t.equal(server.received.toString('hex'), '000000050100000003');
});

t.test('a greeting without extensions is one', async (t) => {
  const server = new HandMadeServer();
  server.push(packet(PACKET.VERSION, u32(3)));
  t.equal((await openSftp(server)).extensions.size, 0);
});

t.test('a banner in place of a greeting is quoted', async (t) => {
  for (const banner of ['Welcome to nas4\u001b[31m!\r\nThis account is not available.\n', 'hi', '\n']) {
    const server = new HandMadeServer();
    server.push(Buffer.from(banner));
    server.push(null);
    await t.rejects(openSftp(server), { name: 'SftpConnectionError', message: /does not speak SFTP/ });
    t.ok(server.destroyed);
  }
  const server = new HandMadeServer();
  server.push('Welcome to nas4\u001b[31m!\r\nBye.\n');
  await t.rejects(openSftp(server), { message: /begins: Welcome to nas4\\x1b\[31m!\\x0d\\x0aBye/ });
});

t.test('a real shell that prints and exits is quoted', async (t) => {
  const child = spawn('sh', ['-c', 'echo This account is currently not available.; exec sleep 100']);
  t.teardown(() => child.kill());
  await t.rejects(openSftp(joinStreams(child.stdout, child.stdin)), {
    name: 'SftpConnectionError',
    message: /This account is currently not available/,
  });
});

t.test('a duplex that ends, breaks or was closed before the greeting rejects', async (t) => {
  const silent = new HandMadeServer();
  silent.push(null);
  await t.rejects(openSftp(silent), { name: 'SftpConnectionError', message: /ended$/ });
  const cut = new HandMadeServer();
  cut.push(VERSION_3.subarray(0, 9));
  cut.push(null);
  await t.rejects(openSftp(cut), { name: 'SftpConnectionError', message: /in the middle of a packet/ });
  const broken = new HandMadeServer();
  setImmediate(() => broken.destroy(new Error('reset by peer')));
  await t.rejects(openSftp(broken), { name: 'SftpConnectionError', message: /reset by peer/ });
  const closed = new HandMadeServer();
  closed.destroy();
  await t.rejects(openSftp(closed), { name: 'SftpConnectionError' });
  const gone = spawn('false');
  await t.rejects(openSftp(joinStreams(gone.stdout, gone.stdin)), { name: 'SftpConnectionError' });
});

t.test('other versions and other packets are refused', async (t) => {
  const greetings = [
    packet(PACKET.VERSION, u32(4)),
    packet(PACKET.VERSION, u32(2)),
    packet(PACKET.STATUS, u32(3), u32(0), string(''), string('')),
    packet(PACKET.VERSION, u32(3), string('half a pair')),
    packet(PACKET.VERSION, u32(3), u32(0xffff_ffff)),
    packet(PACKET.VERSION, Buffer.alloc(2)),
    u32(0),
    u32(2_000_000),
  ];
  for (const greeting of greetings) {
    const server = new HandMadeServer();
    server.push(greeting);
    await t.rejects(openSftp(server), { name: 'SftpConnectionError', message: /broke the SFTP protocol/ });
    t.ok(server.destroyed);
  }
});

t.test('an abort gives up waiting, and does nothing later', async (t) => {
  const interrupted = new AbortController();
  const silent = new HandMadeServer();
  const opening = openSftp(silent, { signal: interrupted.signal });
  interrupted.abort(new Error('enough'));
  await t.rejects(opening, { message: 'enough' });
  t.ok(silent.destroyed);
  await t.rejects(openSftp(new HandMadeServer(), { signal: AbortSignal.abort(new Error('before')) }), {
    message: 'before',
  });

  const late = new AbortController();
  const server = new HandMadeServer();
  server.push(VERSION_3);
  const client = await openSftp(server, { signal: late.signal });
  late.abort();
  t.equal(client.failure, undefined);
});

t.test('a limit for packets that is none is refused', async (t) => {
  await t.rejects(openSftp(new HandMadeServer(), { maxPacketBytes: 65 * 1024 * 1024 }), RangeError);
  await t.rejects(openSftp(new HandMadeServer(), { maxPacketBytes: Number.NaN }), RangeError);
});
