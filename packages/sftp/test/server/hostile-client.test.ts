import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import type { Test } from 'tap';
import t from 'tap';
import { OPEN, PACKET, STATUS } from '../../src/protocol.ts';
import { SftpRefusal, SftpSessionError } from '../../src/server/errors.ts';
import { serveSftp } from '../../src/server/serve-sftp.ts';
import type { SftpSession } from '../../src/server/service.ts';
import { packet, string, turn, u32 } from '../hand-made-server.ts';
import { INIT, OK, handMade, serviceOf } from './served.ts';

const LSTAT = packet(PACKET.LSTAT, u32(1), string('/p'));
const U64_MAX = Buffer.alloc(8, 0xff);

/** The session ends with the code, the streams are gone, and the service was asked no more than that. */
async function ends(
  t: Test,
  input: Buffer[],
  { code, message, asked = 0 }: { code: string; message: RegExp; asked?: number },
): Promise<void> {
  const { client, session, requests } = handMade(() => OK);
  for (const chunk of input) client.push(chunk);
  const error = await failureOf(session);
  t.equal(error.code, code);
  t.match(error.message, message);
  t.equal(requests.length, asked);
  t.ok(client.destroyed);
  t.equal(session.signal.reason, error);
}

async function failureOf(session: SftpSession): Promise<SftpSessionError> {
  const error: unknown = await session.finished.catch((reason: unknown) => reason);
  if (!(error instanceof SftpSessionError)) throw new Error('the session did not fail', { cause: error });
  return error;
}

t.test('lengths that no packet has end the session', async (t) => {
  const expected = (message: RegExp) => ({ code: 'PROTOCOL', message });
  await ends(t, [INIT, u32(0xffff_ffff)], expected(/4294967295 bytes came/));
  await ends(t, [INIT, u32(272 * 1024 + 1)], expected(/278528 are allowed/));
  await ends(t, [INIT, u32(0)], expected(/only 0 bytes/));
  await ends(t, [INIT, u32(4), Buffer.alloc(4)], expected(/only 4 bytes/));
  await ends(t, [Buffer.from('GET / HTTP/1.1\r\n\r\n')], expected(/are allowed/));
  await ends(t, [INIT, LSTAT, u32(0x8000_0000)], { ...expected(/are allowed/), asked: 1 });
});

t.test(
  'a request before the greeting, a second greeting, or one of an old version ends the session',
  async (t) => {
    const code = 'PROTOCOL';
    await ends(t, [LSTAT], { code, message: /type 7 came before the greeting/ });
    await ends(t, [packet(PACKET.VERSION, u32(3))], { code, message: /type 2 came before the greeting/ });
    await ends(t, [INIT, INIT], { code, message: /second greeting/ });
    await ends(t, [INIT, LSTAT, packet(PACKET.INIT, u32(3), string('x'), string('y')), LSTAT], {
      code,
      message: /second greeting/,
      asked: 1,
    });
    await ends(t, [packet(PACKET.INIT, u32(2))], { code, message: /speaks version 2/ });
  },
);

t.test('an input that ends within a packet, or breaks, ends the session', async (t) => {
  for (const bytes of [1, 4, 5, INIT.length - 1, INIT.length + 1, INIT.length + LSTAT.length - 1]) {
    const { client, session } = handMade(() => OK);
    client.push(Buffer.concat([INIT, LSTAT]).subarray(0, bytes));
    client.push(null);
    t.match(
      await failureOf(session),
      { code: 'TRUNCATED', message: /in the middle of a packet/ },
      `${bytes}`,
    );
  }
  const broken = handMade(() => OK);
  broken.client.push(INIT);
  broken.client.destroy(new Error('cable pulled'));
  t.match(await failureOf(broken.session), { code: 'INPUT', message: /broke: cable pulled/ });
  const closed = handMade(() => OK);
  closed.client.destroy();
  t.match(await failureOf(closed.session), { code: 'INPUT', message: /was closed/ });
  const input = new PassThrough();
  const output = new PassThrough();
  const halves = serveSftp(
    { input, output },
    serviceOf(() => OK),
  );
  input.write(INIT);
  output.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  t.match(await failureOf(halves), { code: 'OUTPUT', message: /EPIPE/ });
  t.ok(input.destroyed, 'no stream is left open');
  const late = serveSftp(
    { input: new PassThrough(), output },
    serviceOf(() => OK),
  );
  t.match(await failureOf(late), { code: 'OUTPUT' });
});

t.test('an input that ends at once is a session without requests', async (t) => {
  const { client, session } = handMade(() => OK);
  client.push(null);
  await session.finished;
  t.notOk(session.signal.aborted);
  t.equal(session.bytesReceived, 0);
});

t.test('what is framed but wrong is answered, and the session goes on', async (t) => {
  const { client, session, requests } = handMade(() => OK);
  const attributesOfGiantSize = Buffer.concat([u32(1), U64_MAX]);
  const bad: Buffer[][] = [
    // cut
    [Buffer.from([PACKET.OPEN])],
    [Buffer.from([PACKET.OPEN]), string('/p')],
    [Buffer.from([PACKET.OPEN]), string('/p'), u32(OPEN.READ)],
    [Buffer.from([PACKET.OPEN]), string('/p'), u32(OPEN.READ), u32(0xf)],
    [Buffer.from([PACKET.RENAME]), string('/p')],
    [Buffer.from([PACKET.READ]), string('h'), Buffer.alloc(11)],
    [Buffer.from([PACKET.EXTENDED])],
    [Buffer.from([PACKET.EXTENDED]), string('hardlink@openssh.com'), string('/p')],
    // strings that run over the packet's end
    [Buffer.from([PACKET.LSTAT]), u32(0xffff_ffff)],
    [Buffer.from([PACKET.LSTAT]), u32(3), Buffer.from('/p')],
    [Buffer.from([PACKET.WRITE]), string('h'), Buffer.alloc(8), u32(1_000_000), Buffer.alloc(10)],
    [Buffer.from([PACKET.SETSTAT]), string('/p'), u32(0x8000_0000), u32(0xffff_ffff)],
    // NUL
    [Buffer.from([PACKET.LSTAT]), string('/p\0/etc')],
    [Buffer.from([PACKET.SYMLINK]), string('ok'), string('\0')],
    // handles
    [Buffer.from([PACKET.CLOSE]), string('')],
    [Buffer.from([PACKET.CLOSE]), string(Buffer.alloc(257))],
    // numbers above 2^53 - 1
    [Buffer.from([PACKET.READ]), string('h'), U64_MAX, u32(1)],
    [Buffer.from([PACKET.WRITE]), string('h'), Buffer.from('0020000000000000', 'hex'), string('x')],
    [Buffer.from([PACKET.SETSTAT]), string('/p'), attributesOfGiantSize],
    [Buffer.from([PACKET.OPEN]), string('/p'), u32(1), attributesOfGiantSize],
    [Buffer.from([PACKET.EXTENDED]), string('x'.repeat(257))],
  ];
  const unknown = [0, 21, 99, PACKET.STATUS, PACKET.NAME, PACKET.VERSION, PACKET.EXTENDED_REPLY, 255];
  client.push(INIT);
  for (const [id, [type = Buffer.alloc(1), ...body]] of bad.entries())
    client.push(packet(type.readUInt8(), u32(id), ...body));
  for (const [index, type] of unknown.entries()) client.push(packet(type, u32(1000 + index), string('x')));
  client.push(packet(PACKET.LSTAT, u32(5000), string('/p')));
  client.push(null);
  await session.finished;
  t.equal(requests.length, 1, 'only the last reached the service');
  const expected: [number, number][] = [
    ...bad.map((_, id): [number, number] => [id, STATUS.BAD_MESSAGE]),
    ...unknown.map((_, index): [number, number] => [1000 + index, STATUS.OP_UNSUPPORTED]),
    [5000, STATUS.OK],
  ];
  t.strictSame([...client.statuses()], expected);
});

t.test('the largest offset, a handle of odd length and bytes behind the last field are taken', async (t) => {
  const { client, session, requests } = handMade(() => OK);
  client.push(INIT);
  const largest = Buffer.from('001fffffffffffff', 'hex');
  client.push(packet(PACKET.READ, u32(1), string('odd'), largest, u32(0xffff_ffff), Buffer.from('more')));
  client.push(null);
  await session.finished;
  t.strictSame(requests, [
    { type: 'read', handle: Buffer.from('odd'), offset: Number.MAX_SAFE_INTEGER, length: 261_120 },
  ]);
});

t.test('any bytes whatever are answered or end the session, and never throw', async (t) => {
  let answered = 0;
  let ended = 0;
  const framed = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 60 }))
    .map(([type, body]) => packet(type, u32(7), Buffer.from(body)));
  const raw = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
  const chunk = fc.oneof({ weight: 12, arbitrary: framed }, { weight: 1, arbitrary: raw });
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 30 }), fc.nat(), async (chunks, cut) => {
      const { client, session, requests } = handMade(() => OK);
      const all = Buffer.concat([INIT, ...chunks]);
      const at = cut % all.length;
      client.push(all.subarray(0, at));
      if (at < all.length) client.push(all.subarray(at));
      client.push(null);
      const error: unknown = await session.finished.catch((reason: unknown) => reason);
      if (error === undefined) {
        answered++;
        if (client.answers().length < requests.length) throw new Error('a request was not answered');
      } else {
        ended++;
        if (!(error instanceof SftpSessionError)) throw new Error('another error came', { cause: error });
      }
    }),
    { numRuns: 1000 },
  );
  t.ok(answered > 50 && ended > 50, `${answered} answered, ${ended} ended`);
});

t.test('a session that fails lets nothing of the service go on unseen', async (t) => {
  const gate = Promise.withResolvers<typeof OK>();
  const { client, session } = handMade(() => gate.promise);
  client.push(Buffer.concat([INIT, LSTAT, u32(0)]));
  await turn();
  t.ok(session.signal.aborted, 'the service is told at once');
  t.equal(await state(session), 'waits');
  gate.resolve(OK);
  await t.rejects(session.finished, { message: /only 0 bytes/ });
  t.equal(session.pending, 0);
});

t.test('abort within the service ends the session, also when it answers by a promise', async (t) => {
  const gate = Promise.withResolvers<typeof OK>();
  let abort = (): void => undefined;
  const { client, session, requests } = handMade(() => {
    abort();
    return gate.promise;
  });
  abort = () => {
    session.abort('enough');
  };
  client.push(Buffer.concat([INIT, LSTAT, LSTAT]));
  await turn();
  t.equal(requests.length, 1, 'nothing is handed over after it');
  t.equal(await state(session), 'waits');
  gate.reject(new Error('too late'));
  await t.rejects(session.finished, { message: 'enough' });
});

t.test('what the service throws is a failure without details, what it refuses is told', async (t) => {
  const reported: unknown[] = [];
  let asked = 0;
  const secret = new Error('/secret/path: key 123');
  const handle = Buffer.alloc(300);
  const attributes = { uid: 1 };
  const { client, session } = handMade(
    () => {
      switch (++asked) {
        case 1:
          throw secret;
        case 2:
          return Promise.reject(secret);
        case 3:
          throw new SftpRefusal(12, 'the past is read-only');
        case 4:
          return Promise.reject(new SftpRefusal(17, 'busy'));
        case 5:
          return { type: 'handle', handle };
        case 6:
          return { type: 'attributes', attributes };
        case 7:
          return Promise.resolve({ type: 'names', items: [] });
        case 8:
          // eslint-disable-next-line @typescript-eslint/only-throw-error -- some do
          throw undefined;
        default:
          return OK;
      }
    },
    { onServiceError: (error) => reported.push(error) },
  );
  client.push(INIT);
  for (let id = 1; id <= 9; id++) client.push(packet(PACKET.LSTAT, u32(id), string('/p')));
  client.push(null);
  await session.finished;
  t.strictSame(Object.fromEntries(client.statuses()), {
    1: 4,
    2: 4,
    3: 12,
    4: 17,
    5: 4,
    6: 4,
    7: 4,
    8: 4,
    9: 0,
  });
  const sent = Buffer.concat(client.received).toString('latin1');
  t.notMatch(sent, /secret/);
  t.match(sent, /the past is read-only/);
  t.equal(reported.length, 6);
  t.equal(reported[0], secret);
});

t.test('a report that fails ends the session', async (t) => {
  const { client, session } = handMade(
    () => {
      throw new Error('first');
    },
    {
      onServiceError: () => {
        throw new Error('second');
      },
    },
  );
  client.push(Buffer.concat([INIT, LSTAT]));
  await t.rejects(session.finished, { message: /could not be reported/ });
});

async function state(session: SftpSession): Promise<string> {
  return await Promise.race([
    session.finished.then(
      () => 'done',
      () => 'failed',
    ),
    turn().then(() => 'waits'),
  ]);
}
