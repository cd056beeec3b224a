import fc from 'fast-check';
import t from 'tap';
import { PACKET } from '../src/protocol.ts';
import { greeted, packet, packetsOf, status, string, turn, u32 } from './hand-made-server.ts';

const PATH = Buffer.from('/p');
const HANDLE = { bytes: Buffer.from('h'), path: PATH };

t.test('replies may be cut anywhere', async (t) => {
  const ask = async (cut: (bytes: Buffer) => Iterable<Buffer>): Promise<void> => {
    const { server, client } = await greeted();
    const data = Buffer.from(Array.from({ length: 300 }, (_, index) => index));
    const asked = Promise.all([
      client.open(PATH, 1),
      client.read(HANDLE, 0, 300),
      client.read(HANDLE, 300, 300),
      client.rmdir(PATH),
      client.readdir({ bytes: Buffer.from('d'), path: PATH }),
      client.rmdir(PATH).catch((error: unknown) => error),
    ]);
    await turn();
    const ids = packetsOf(server.received.subarray(9)).map(({ id }) => id);
    const id = (index: number): Buffer => u32(ids[index] ?? 0);
    const item = [string('n\xff'), string('long'), u32(1), u32(1), u32(2)];
    const replies = Buffer.concat([
      packet(PACKET.HANDLE, id(0), string('handle')),
      packet(PACKET.DATA, id(1), string(data)),
      status(ids[2] ?? 0, 1, 'EOF'),
      status(ids[3] ?? 0, 0, 'fine'),
      packet(PACKET.NAME, id(4), u32(1), ...item),
      status(ids[5] ?? 0, 4, 'no'),
    ]);
    for (const piece of cut(replies)) server.push(piece);
    const [handle, bytes, end, done, items, refused] = await asked;
    t.equal(handle.bytes.toString(), 'handle');
    t.ok(bytes.equals(data));
    t.equal(end.length, 0);
    t.equal(done, undefined);
    t.strictSame(
      items?.map(({ name, longName, attributes }) => [String(name), String(longName), attributes.sizeBytes]),
      [['n\xff', 'long', 2 ** 32 + 2]],
    );
    t.match(refused, { status: 4 });
    t.equal(client.failure, undefined);
    server.destroy();
  };
  await ask((bytes) => Array.from(bytes, (byte) => Buffer.from([byte])));
  for (let at = 1; at < 500; at++) await ask((bytes) => [bytes.subarray(0, at), bytes.subarray(at)]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1 }), async (sizes) => {
      await ask(function* (bytes) {
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          yield bytes.subarray(at, at + size);
          at += size;
        }
      });
    }),
    { numRuns: 100 },
  );
});

t.test('replies may come in any order, and ids are used again without mixing', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 1, max: 900 })), {
        maxLength: 8,
      }),
      fc.infiniteStream(fc.nat()),
      async (rounds, random) => {
        const { server, client } = await greeted();
        const waiting: { id: number; asked: Promise<unknown>; marker: number }[] = [];
        let marker = 0;
        const reply = async (count: number): Promise<void> => {
          for (let left = Math.min(count, waiting.length); left > 0; left--) {
            const [one] = waiting.splice((random.next().value ?? 0) % waiting.length, 1);
            if (one === undefined) break;
            server.push(packet(PACKET.ATTRS, u32(one.id), u32(4), u32(one.marker)));
            const answer = await one.asked;
            if (!(answer instanceof Object && 'permissions' in answer && answer.permissions === one.marker)) {
              throw new Error('another request was answered');
            }
          }
        };
        for (const [more, fewer] of rounds) {
          server.received = Buffer.alloc(0);
          const asked = Array.from({ length: more }, () => client.lstat(PATH));
          const requests = () =>
            packetsOf(server.received.subarray(server.received[4] === PACKET.INIT ? 9 : 0));
          // while many wait, more are gathered for a moment before they leave
          while (requests().length < more) await new Promise((resolve) => setTimeout(resolve, 1));
          const sent = requests();
          for (const [index, { id }] of sent.entries()) {
            if (waiting.some((other) => other.id === id)) throw new Error('an id is used twice');
            waiting.push({
              id,
              asked: asked[index] ?? Promise.reject(new Error('more sent than asked')),
              marker: marker++,
            });
          }
          if (sent.length !== more) throw new Error('fewer sent than asked');
          await reply(fewer);
        }
        await reply(waiting.length);
        if (client.pending !== 0) throw new Error('something is left');
        server.destroy();
      },
    ),
    { numRuns: 20 },
  );
  t.pass('no counterexample');
});

t.test('requests of one turn leave in one piece, in order', async (t) => {
  const { server, client } = await greeted();
  const chunks: number[] = [];
  const write = server._write.bind(server);
  server._write = (chunk: Buffer, encoding, done) => {
    chunks.push(chunk.length);
    write(chunk, encoding, done);
  };
  for (let index = 0; index < 100; index++) client.rmdir(Buffer.from(`/${index}`)).catch(() => undefined);
  t.equal(chunks.length, 0);
  await turn();
  t.equal(chunks.length, 1);
  const paths = packetsOf(server.received.subarray(9)).map(({ body }) => body.subarray(4).toString());
  t.strictSame(
    paths,
    Array.from({ length: 100 }, (_, index) => `/${index}`),
  );
});

t.test('back-pressure of the duplex is seen, waited for, and nothing is lost or turned round', async (t) => {
  const { server, client } = await greeted();
  server.holding = true;
  const pieces = Array.from({ length: 12 }, (_, index) => Buffer.alloc(index % 2 ? 100_000 : 5000, index));
  for (const [index, piece] of pieces.entries()) client.write(HANDLE, index, piece).catch(() => undefined);
  await turn();
  t.ok(client.congested);
  let drained = false;
  const waiting = client.drained().then(() => {
    drained = true;
  });
  await turn();
  t.notOk(drained, 'it waits while the duplex holds more than its mark');
  server.release();
  await waiting;
  t.notOk(client.congested);
  const sent = packetsOf(server.received.subarray(9));
  t.equal(sent.length, pieces.length);
  for (const [index, { body }] of sent.entries()) {
    t.equal(body.readUInt32BE(9), index);
    t.ok(body.subarray(17).equals(pieces[index] ?? Buffer.alloc(0)));
  }
  t.equal(client.bytesSent, server.received.length);
});

t.test('`below` lets in as many as there is room for, in order', async (t) => {
  const { server, client } = await greeted();
  await client.below(1);
  const asked = Array.from({ length: 10 }, () => client.rmdir(PATH));
  await turn();
  const ids = packetsOf(server.received.subarray(9)).map(({ id }) => id);
  const order: number[] = [];
  const waiters = Array.from({ length: 6 }, (_, index) =>
    client.below(8).then(async () => {
      order.push(index);
      await client.rmdir(PATH);
    }),
  );
  await turn();
  t.strictSame(order, []);
  server.push(Buffer.concat(ids.slice(0, 4).map((id) => status(id, 0))));
  await turn();
  t.strictSame(order, [0, 1], 'ten less four leaves room for two');
  t.equal(client.pending, 8);
  server.push(Buffer.concat(ids.slice(4).map((id) => status(id, 0))));
  await turn();
  t.strictSame(order, [0, 1, 2, 3, 4, 5]);
  await Promise.all(asked);
  server.destroy();
  await Promise.allSettled(waiters);
});

t.test('waiters of `below` that send nothing do not hold up the others', async (t) => {
  const { server, client } = await greeted();
  const asked = client.rmdir(PATH);
  const waiters = Promise.all(Array.from({ length: 50 }, () => client.below(1)));
  await turn();
  server.push(status(packetsOf(server.received.subarray(9))[0]?.id ?? 0, 0));
  await asked;
  await waiters;
  await t.rejects(client.below(0), RangeError);
});
