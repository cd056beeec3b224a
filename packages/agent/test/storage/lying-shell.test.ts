import {
  GET_MANY_VERSION,
  REFUSAL,
  VERB,
  encodeBeginReply,
  encodeBody,
  parseRunName,
} from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { SftpRefusal, openSftp, serveSftp } from '@bakker/sftp';
import type { SftpReply, SftpRequest } from '@bakker/sftp';
import { createHash } from 'node:crypto';
import { duplexPair } from 'node:stream';
import t from 'tap';
import { ShellAccount } from '../../src/adapters/shell/shell-account.ts';
import {
  MissingFromStorage,
  ParentChanged,
  RunDiffers,
  StoredOtherwise,
} from '../../src/ports/storage-account.ts';
import type { RunWriter } from '../../src/ports/storage-account.ts';

const RUN = asRun('2024_04_18_01');
const PARENT = asRun('2024_04_17_01');
const ABOUT = { mtimeS: 0, executable: false };
const HELLO = {
  version: 1,
  program: 'liar',
  account: 'server1',
  role: 'backup',
  mayRead: true,
  identity: 'id',
  nowMs: 0,
  maxPathBytes: 4000,
  agentConfig: null,
  frozen: null,
};

type Answers = Readonly<Partial<Record<string, (request: SftpRequest) => Buffer>>>;

/** A session with a storage that answers as it is told to, and honestly to what it is not told. */
async function session(answers: Answers): Promise<ShellAccount> {
  const [ours, theirs] = duplexPair();
  const honest: Answers = {
    [VERB.hello]: () => json(HELLO),
    [VERB.begin]: () =>
      string(
        encodeBeginReply({
          run: RUN,
          token: 'ab'.repeat(16),
          carried: [],
          parent: { run: PARENT, manifestSha256: 'cd'.repeat(32) },
          hurt: [{ run: PARENT, path: Buffer.from('hurt') }],
        }),
      ),
    [VERB.tree]: () => Buffer.alloc(4),
    [VERB.create]: () => string(Buffer.from('handle')),
    [VERB.abandon]: () => json({}),
  };
  const served = serveSftp(
    theirs,
    {
      handle(request): SftpReply {
        if (request.type !== 'extended') return { type: 'status', code: 0 };
        const answer = answers[request.name] ?? honest[request.name];
        return answer ? { type: 'extended', body: answer(request) } : { type: 'status', code: 0 };
      },
    },
    { extensions: [[VERB.getMany, GET_MANY_VERSION]] },
  );
  served.finished.catch(() => undefined);
  const client = await openSftp(ours);
  return ShellAccount.open({ client, address: 'the storage', close: () => client.end() });
}

async function writerOf(answers: Answers): Promise<RunWriter> {
  const account = await session(answers);
  t.teardown(() => account[Symbol.asyncDispose]());
  return account.begin({ nowMs: 0, parent: PARENT });
}

function refusing(status: number): () => Buffer {
  return () => {
    throw new SftpRefusal(status, 'because');
  };
}

t.test('a storage that stored other bytes than were sent is found out', async (t) => {
  const wrong = () => createHash('sha256').update('other').digest();
  const writer = await writerOf({ [VERB.put]: wrong, [VERB.finish]: wrong });
  await t.rejects(writer.file(Buffer.from('a'), Buffer.from('content'), ABOUT), StoredOtherwise);
  await using sink = await writer.openFile(Buffer.from('b'), ABOUT);
  await sink.write(0, Buffer.from('content'));
  await t.rejects(
    sink.finish(7, createHash('sha256').update('content').digest()),
    StoredOtherwise,
    'large ones too',
  );
});

t.test('files that come at once go in one message, and each is held to its own hash', async (t) => {
  const messages: Buffer[] = [];
  const hashes = (...contents: string[]) =>
    Buffer.concat(contents.map((content) => createHash('sha256').update(content).digest()));
  const writer = await writerOf({
    [VERB.put]: (request) => {
      messages.push(request.type === 'extended' ? Buffer.from(request.body) : Buffer.alloc(0));
      return hashes('one', 'other', 'three');
    },
  });
  const outcomes = await Promise.allSettled(
    ['one', 'two', 'three'].map((name) => writer.file(Buffer.from(name), Buffer.from(name), ABOUT)),
  );
  t.same(
    outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason instanceof StoredOtherwise),
    [false, true, false],
  );
  t.equal(messages.length, 1);
  t.equal(messages[0]?.toString('latin1').slice(-11), 'onetwothree', 'contents lie one behind the other');
  const large = Buffer.alloc(200 * 1024);
  await Promise.allSettled(['a', 'b'].map((name) => writer.file(Buffer.from(name), large, ABOUT)));
  t.equal(messages.length, 3, 'a message is no longer than a packet may be');
  const refusedAll = await writerOf({ [VERB.put]: refusing(14) });
  for (const outcome of await Promise.allSettled(
    ['a', 'b'].map((name) => refusedAll.file(Buffer.from(name), Buffer.alloc(1), ABOUT)),
  )) {
    t.match(outcome, { status: 'rejected', reason: { code: 'STORAGE_FULL' } });
  }
});

t.test('refusals come out in words that the run can act on', async (t) => {
  const cases = [
    [14, { code: 'STORAGE_FULL' }],
    [15, { code: 'STORAGE_FULL' }],
    [12, { code: 'STORAGE_REFUSED' }],
    [3, { code: 'STORAGE_REFUSED' }],
    [8, { code: 'STORAGE_UNFIT' }],
  ] as const;
  for (const [status, expected] of cases) {
    const writer = await writerOf({ [VERB.put]: refusing(status) });
    await t.rejects(writer.file(Buffer.from('a'), Buffer.alloc(0), ABOUT), expected, `status ${status}`);
  }
  await t.rejects(writerOf({ [VERB.begin]: refusing(1001) }), ParentChanged);
  await t.rejects(writerOf({ [VERB.begin]: refusing(17) }), { code: 'LOCKED' });
  const writer = await writerOf({ [VERB.tree]: refusing(1002) });
  await t.rejects(writer.directory(Buffer.from('d')), RunDiffers);
  await t.rejects(writer.ready() ?? Promise.resolve(), RunDiffers, 'and nothing more is sent');
});

t.test('links are told apart by their outcomes, and damaged ones are not even asked for', async (t) => {
  const writer = await writerOf({
    [VERB.tree]: () => Buffer.from('00000002' + '0000000101' + '0000000203', 'hex'),
  });
  const link = (name: string) =>
    writer.link(Buffer.from(name), { folder: PARENT, path: Buffer.from(name) }, 1);
  t.same(await Promise.all([link('a'), link('b'), link('c'), link('hurt')]), [
    'linked',
    'missing',
    'refused',
    'hurt',
  ]);
});

t.test('answers that make no sense end the run, not the process', async (t) => {
  await t.rejects(session({ [VERB.hello]: () => json({ ...HELLO, role: 'king' }) }), {
    code: 'STORAGE_REFUSED',
  });
  await t.rejects(session({ [VERB.hello]: () => Buffer.from('no length') }), { code: 'STORAGE_REFUSED' });
  await t.rejects(writerOf({ [VERB.begin]: () => json({ run: '../../etc' }) }), { code: 'STORAGE_REFUSED' });
  const writer = await writerOf({ [VERB.tree]: () => Buffer.from('000000ff', 'hex') });
  await t.rejects(writer.directory(Buffer.from('d')), { code: 'STORAGE_REFUSED' });
  const other = await writerOf({ [VERB.create]: () => Buffer.from('handle') });
  await t.rejects(other.openFile(Buffer.from('f'), ABOUT), { code: 'STORAGE_REFUSED' });
  const short = await writerOf({ [VERB.put]: () => Buffer.alloc(31) });
  await t.rejects(short.file(Buffer.from('a'), Buffer.alloc(0), ABOUT), StoredOtherwise);
});

t.test('files that are read together: what was not asked, or has no sense, is no content', async (t) => {
  const lying = async (answer: Buffer): Promise<readonly (Buffer | Error)[]> => {
    const account = await session({
      [VERB.getMany]: () => answer,
      [VERB.get]: () => string(Buffer.from('alone')),
    });
    const files = ['a', 'b'].map((name) => ({ path: Buffer.from(name), sizeBytes: 1 }));
    if (!account.readFiles) throw new Error('it can read files together');
    return account.readFiles(RUN, files);
  };
  const got = (status: number, text: string): Buffer =>
    Buffer.concat([Buffer.of(0, 0, 0, status), string(Buffer.from(text))]);
  t.same((await lying(Buffer.concat([got(0, 'x'), got(0, 'y'), got(0, 'z')]))).map(String), ['x', 'y']);
  t.same((await lying(got(0, 'x'))).map(String), ['x', 'alone'], 'what is left out is asked for again');
  t.same((await lying(Buffer.alloc(0))).map(String), ['alone', 'alone']);
  const [gone, refused] = await lying(Buffer.concat([got(2, '\u001b[2J'), got(3, 'no')]));
  t.type(gone, MissingFromStorage);
  t.notMatch(String(gone), '\u001b');
  t.match(refused, { code: 'STORAGE_REFUSED' });
  for (const broken of [got(0, 'xyz').subarray(0, -1), Buffer.alloc(3)])
    await t.rejects(lying(broken), { code: 'STORAGE_REFUSED' });
});

t.test('a run that nothing was written to is given up', async (t) => {
  let abandoned = 0;
  const writer = await writerOf({
    [VERB.abandon]: () => {
      abandoned++;
      return json({});
    },
  });
  await writer[Symbol.asyncDispose]();
  t.equal(abandoned, 1);
});

function asRun(name: string): RunName {
  const run = parseRunName(name);
  if (!run) throw new Error(`${name} is no run`);
  return run;
}

function json(value: object): Buffer {
  return string(encodeBody(value));
}

function string(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

t.test('a storage that waited long for a lock before it refused is not asked again and again', async (t) => {
  let askedCount = 0;
  let waitedMs = 0;
  const now = performance.now.bind(performance);
  t.capture(performance, 'now', () => now() + waitedMs);
  await using account = await session({
    [VERB.begin]: () => {
      askedCount++;
      waitedMs += 30_000;
      throw new SftpRefusal(REFUSAL.LOCKED, 'another process has been renaming in this account for 30 s');
    },
  });
  await t.rejects(account.begin({ nowMs: 0, parent: undefined }), {
    code: 'LOCKED',
    message: /is locked: another process has been renaming/,
  });
  t.equal(askedCount, 1);
});
