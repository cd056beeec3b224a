import type { Test } from 'tap';
import t from 'tap';
import type { SftpClient } from '../src/client.ts';
import { OPEN, PACKET } from '../src/protocol.ts';
import type { HandMadeServer } from './hand-made-server.ts';
import { greeted, packet, packetsOf, status, string, turn, u32 } from './hand-made-server.ts';

const PATH = Buffer.from('/p');

/** Sends one request, answers it by hand, and expects the connection to end for the reason. */
async function breaks(
  t: Test,
  ask: (client: SftpClient) => Promise<unknown>,
  answer: (id: number) => Buffer,
  reason: RegExp,
): Promise<void> {
  const { server, client } = await greeted();
  const asked = ask(client);
  const other = client.lstat(PATH);
  server.push(answer(await firstId(server)));
  const expected = { name: 'SftpConnectionError', message: reason };
  await t.rejects(asked, expected);
  await t.rejects(other, expected);
  t.ok(server.destroyed);
  t.equal(client.pending, 0);
}

async function firstId(server: HandMadeServer): Promise<number> {
  await turn();
  const [first] = packetsOf(server.received.subarray(9));
  if (first === undefined) throw new Error('nothing was sent');
  return first.id;
}

t.test('a reply to nobody ends the connection', async (t) => {
  await breaks(
    t,
    (c) => c.lstat(PATH),
    (id) => status(id + 2, 0),
    /not under way/,
  );
});

t.test('a second reply to the same request ends the connection', async (t) => {
  const { server, client } = await greeted();
  const asked = client.rmdir(PATH);
  const id = await firstId(server);
  server.push(Buffer.concat([status(id, 0), status(id, 0)]));
  await asked;
  t.match(client.failure, { message: /not under way/ });
});

t.test('a reply of the wrong kind ends the connection', async (t) => {
  await breaks(
    t,
    (c) => c.lstat(PATH),
    (id) => status(id, 0),
    /answer to lstat/,
  );
  await breaks(
    t,
    (c) => c.rmdir(PATH),
    (id) => packet(PACKET.HANDLE, u32(id), string('h')),
    /answer to rmdir/,
  );
  await breaks(
    t,
    (c) => c.rmdir(PATH),
    (id) => packet(99, u32(id)),
    /type 99/,
  );
  await breaks(
    t,
    (c) => c.rmdir(PATH),
    () => packet(PACKET.VERSION, u32(3)),
    /not under way|type 2/,
  );
});

t.test('packets too long, too short or cut end the connection', async (t) => {
  const ask = (c: SftpClient): Promise<unknown> => c.open(PATH, OPEN.READ);
  await breaks(t, ask, () => u32(0xffff_ffff), /4294967295 bytes came/);
  await breaks(t, ask, () => u32(1024 * 1024 + 1025), /are allowed/);
  await breaks(t, ask, () => u32(4), /only 4 bytes/);
  await breaks(t, ask, (id) => packet(PACKET.HANDLE, u32(id)), /ends before/);
  await breaks(t, ask, (id) => packet(PACKET.HANDLE, u32(id), u32(100), Buffer.alloc(99)), /ends before/);
  await breaks(t, ask, (id) => packet(PACKET.HANDLE, u32(id), string(Buffer.alloc(257))), /handle of 257/);
  await breaks(t, ask, (id) => packet(PACKET.STATUS, u32(id)), /ends before/);
  await breaks(t, ask, (id) => packet(PACKET.STATUS, u32(id), u32(4), u32(9)), /ends before/);
});

t.test('counts that their packet has no room for end the connection', async (t) => {
  const ask = (c: SftpClient): Promise<unknown> => c.readlink(PATH);
  await breaks(t, ask, (id) => packet(PACKET.NAME, u32(id), u32(0xffff_ffff)), /claims 4294967295 names/);
  await breaks(t, ask, (id) => packet(PACKET.NAME, u32(id), u32(2), Buffer.alloc(23)), /claims 2 names/);
  await breaks(t, ask, (id) => packet(PACKET.NAME, u32(id), u32(2), Buffer.alloc(24)), /not the one name/);
  await breaks(t, ask, (id) => packet(PACKET.NAME, u32(id), u32(0)), /not the one name/);
  const attributes = Buffer.concat([u32(0x8000_0000), u32(0xffff_ffff)]);
  await breaks(
    t,
    (c) => c.lstat(PATH),
    (id) => packet(PACKET.ATTRS, u32(id), attributes),
    /ends before/,
  );
});

t.test('a larger limit takes larger packets, and a smaller one does not', async (t) => {
  const { server, client } = await greeted({ maxPacketBytes: 3_000_000 });
  const asked = client.read({ bytes: Buffer.from('h'), path: PATH }, 0, 2_500_000);
  server.push(packet(PACKET.DATA, u32(await firstId(server)), string(Buffer.alloc(2_500_000, 7))));
  t.ok((await asked).equals(Buffer.alloc(2_500_000, 7)));
  const small = await greeted({ maxPacketBytes: 1024 });
  const refused = small.client.lstat(PATH);
  small.server.push(u32(1025));
  await t.rejects(refused, { message: /1025 bytes came; 1024 are allowed/ });
});

t.test('what a server adds within the protocol is taken', async (t) => {
  const { server, client } = await greeted();
  const asked = client.lstat(PATH);
  const extended = Buffer.concat([u32(0x8000_0004), u32(0o100644), u32(1), string('a@b'), string('c')]);
  server.push(packet(PACKET.ATTRS, u32(await firstId(server)), extended, Buffer.from('more')));
  t.match(await asked, { permissions: 0o100644, sizeBytes: undefined, mtimeS: undefined });
});

t.test('a status without words has ours, and strange words are made harmless', async (t) => {
  const { server, client } = await greeted();
  const refused = [client.rmdir(PATH), client.rmdir(PATH), client.rmdir(PATH)];
  const id = await firstId(server);
  server.push(packet(PACKET.STATUS, u32(id), u32(3)));
  server.push(status(id + 1, 77));
  server.push(status(id + 2, 4, 'no\u0007\u202e'));
  await t.rejects(refused[0] ?? Promise.resolve(), {
    status: 3,
    message: 'rmdir /p: permission denied (SFTP status 3)',
  });
  await t.rejects(refused[1] ?? Promise.resolve(), {
    status: 77,
    message: 'rmdir /p: unknown status (SFTP status 77)',
  });
  await t.rejects(refused[2] ?? Promise.resolve(), { message: 'rmdir /p: no\\x07\\u{202e} (SFTP status 4)' });
});
