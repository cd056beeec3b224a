import t from 'tap';
import { PACKET } from '../../src/protocol.ts';
import type { SftpReply } from '../../src/server/service.ts';
import { packet, string, turn, u32 } from '../hand-made-server.ts';
import type { HandMadeClient } from './served.ts';
import { INIT, OK, handMade } from './served.ts';

const DATA_BYTES = 255 * 1024;

function readRequests(count: number, length = DATA_BYTES, firstId = 0): Buffer {
  const requests = Array.from({ length: count }, (_, index) =>
    packet(PACKET.READ, u32(firstId + index), string('h'), Buffer.alloc(8), u32(length)),
  );
  return Buffer.concat(requests);
}

/** Pushes as long as the server takes it, as a client does that never reads; gives up after so many bytes. */
async function flood(client: HandMadeClient, chunk: Buffer, mostBytes: number): Promise<number> {
  let pushed = 0;
  while (pushed < mostBytes) {
    pushed += chunk.length;
    if (!client.push(chunk)) {
      client.wanted = false;
      await turn();
      if (!client.wanted) break;
    }
  }
  return pushed;
}

t.test('a client that never reads is served no more than fits, and the rest when it reads', async (t) => {
  const data: SftpReply = { type: 'data', bytes: Buffer.alloc(DATA_BYTES) };
  const { client, session, requests } = handMade(() => data);
  client.holding = true;
  client.push(Buffer.concat([INIT, readRequests(1000)]));
  const pushed = await flood(client, readRequests(1000), 100_000_000);
  t.ok(pushed < 1_000_000, `${pushed} bytes of requests were taken`);
  const servedBytes = requests.length * DATA_BYTES;
  t.ok(servedBytes >= 1024 * 1024 && servedBytes <= 2 * 1024 * 1024, `${servedBytes} bytes wait`);
  t.ok(client.writableLength <= 2 * 1024 * 1024);
  client.push(null);
  client.release();
  await session.finished;
  t.equal(requests.length * 26, session.bytesReceived - INIT.length);
  t.equal(client.answers().length, requests.length, 'in the end everything was answered');
});

t.test('a client that never reads small answers is held up too', async (t) => {
  const { client, session, requests } = handMade(() => OK);
  client.holding = true;
  const lstats = Buffer.concat(
    Array.from({ length: 2000 }, (_, id) => packet(PACKET.LSTAT, u32(id), string('/p'))),
  );
  client.push(INIT);
  await flood(client, lstats, 100_000_000);
  const STATUS_BYTES = 21;
  const unsent = requests.length * STATUS_BYTES;
  t.ok(unsent >= 1_000_000 && unsent <= 1.3 * 1024 * 1024, `${unsent} bytes wait`);
  client.push(null);
  client.release();
  await session.finished;
  t.equal(client.answers().length, requests.length);
});

t.test('the promises under way are bounded by number', async (t) => {
  const gates: PromiseWithResolvers<SftpReply>[] = [];
  const { client, session, requests } = handMade(
    () => {
      const gate = Promise.withResolvers<SftpReply>();
      gates.push(gate);
      return gate.promise;
    },
    { maxPendingRequests: 10 },
  );
  client.push(Buffer.concat([INIT, readRequests(25, 1)]));
  await turn();
  t.equal(requests.length, 10);
  t.equal(session.pending, 10);
  const pushed = await flood(client, readRequests(2000, 1, 25), 100_000_000);
  t.ok(pushed < 500_000, `${pushed} bytes were taken`);
  gates[3]?.resolve(OK);
  gates[7]?.resolve(OK);
  await turn();
  t.equal(requests.length, 12, 'for each that settles one more is let in');
  t.equal(session.pending, 10);
  client.push(null);
  for (let done = 0; done < gates.length; done++) {
    gates[done]?.resolve(OK);
    if (done % 10 === 9 || done === gates.length - 1) await turn();
  }
  await session.finished;
  t.equal(client.answers().length, requests.length);
  t.strictSame(
    [...client.statuses().keys()].slice(0, 2),
    [3, 7],
    'an answer does not wait for those before it',
  );
});

t.test('the promises under way are bounded by bytes: of requests, and of data asked for', async (t) => {
  const never = new Promise<SftpReply>(() => undefined);
  const reads = handMade(() => never);
  reads.client.push(Buffer.concat([INIT, readRequests(200)]));
  await turn();
  t.equal(reads.requests.length, Math.ceil((8 * 1024 * 1024) / (DATA_BYTES + 26)));
  const writes = handMade(() => never, { maxPendingBytes: 1_000_000 });
  const write = packet(PACKET.WRITE, u32(1), string('h'), Buffer.alloc(8), string(Buffer.alloc(100_000)));
  writes.client.push(INIT);
  const pushed = await flood(writes.client, write, 50_000_000);
  t.equal(writes.requests.length, 10);
  t.ok(pushed < 2_000_000, `${pushed} bytes were taken`);
});

t.test('requests are handed over in the order received, whatever is held up', async (t) => {
  const order: number[] = [];
  const { client, session } = handMade(
    (request) => {
      const index = request.type === 'read' ? request.offset : -1;
      order.push(index);
      const data: SftpReply = { type: 'data', bytes: Buffer.alloc((index * 7919) % 70_000, index) };
      if (index % 3 === 0) return data;
      return new Promise((resolve) => {
        if (index % 3 === 1) setImmediate(resolve, data);
        else process.nextTick(resolve, data);
      });
    },
    { maxPendingRequests: 7, maxUnsentBytes: 100_000 },
  );
  client.push(INIT);
  for (let index = 0; index < 1000; index++) {
    const offset = Buffer.alloc(8);
    offset.writeUInt32BE(index, 4);
    client.push(packet(PACKET.READ, u32(index), string('h'), offset, u32(1)));
  }
  client.push(null);
  // Output that stops and goes.
  const stutter = setInterval(() => {
    if (client.holding) client.release();
    else client.holding = true;
  }, 1);
  await session.finished;
  clearInterval(stutter);
  t.strictSame(
    order,
    Array.from({ length: 1000 }, (_, index) => index),
  );
  const answers = client.answers();
  t.strictSame(
    answers.map(({ id }) => id).sort((a, b) => a - b),
    order,
  );
  t.ok(
    answers.every(
      ({ id, body }) => body.length - 4 === (id * 7919) % 70_000 && (body[4] ?? id & 255) === (id & 255),
    ),
  );
});

t.test('answers of one chunk leave in one write, and large data without a copy', async (t) => {
  const large = Buffer.alloc(100_000, 1);
  const { client, session } = handMade((request) =>
    request.type === 'read' ? { type: 'data', bytes: large } : OK,
  );
  client.push(INIT);
  await turn();
  client.received = [];
  client.push(
    Buffer.concat(Array.from({ length: 500 }, (_, id) => packet(PACKET.LSTAT, u32(id), string('/p')))),
  );
  await turn();
  t.equal(client.received.length, 1);
  t.equal(client.answers().length, 500);
  client.received = [];
  client.push(readRequests(1));
  await turn();
  t.ok(
    client.received.some((piece) => piece.buffer === large.buffer && piece.length === large.length),
    'the very bytes were handed to the output',
  );
  client.push(null);
  await session.finished;
});

t.test('data and the headers between them leave together', async (t) => {
  const { client, session } = handMade(() => ({ type: 'data', bytes: Buffer.alloc(50_000) }));
  const together: number[] = [];
  client._writev = (chunks, done) => {
    together.push(chunks.length);
    done();
  };
  client.push(Buffer.concat([INIT, readRequests(4)]));
  await turn();
  t.strictSame(together, [8], 'a header and its data, four times');
  t.equal(session.bytesSent, 9 + 4 * (13 + 50_000));
  client.push(null);
  await session.finished;
});

t.test('large writes that lie whole in a chunk are handed over without a copy', async (t) => {
  const views: Buffer[] = [];
  const { client, session } = handMade((request) => {
    if (request.type === 'write') views.push(request.bytes);
    return OK;
  });
  const write = packet(
    PACKET.WRITE,
    u32(1),
    string('h'),
    Buffer.alloc(8),
    string(Buffer.alloc(DATA_BYTES, 5)),
  );
  client.push(INIT);
  client.push(write);
  client.push(null);
  await session.finished;
  t.equal(views[0]?.buffer, write.buffer);
  t.equal(views[0]?.length, DATA_BYTES);
});

t.test('bounds out of range are refused', (t) => {
  for (const options of [
    { maxPacketBytes: 100 },
    { maxPacketBytes: 2 ** 31 },
    { maxPendingRequests: 0 },
    { maxPendingBytes: NaN },
    { maxUnsentBytes: -1 },
  ]) {
    t.throws(() => handMade(() => OK, options), { message: /no bound of a session/ });
  }
  t.end();
});
