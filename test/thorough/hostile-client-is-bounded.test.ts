import { PACKET } from '@bakker/sftp';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import {
  NOTHING_COUNTED,
  peakBytes,
  provisionAccount,
  publishBody,
  publishRun,
  putBody,
  script,
  sendManifest,
  sessionsOf,
} from '../harness/hostile-world.ts';
import type { HostileAccount } from '../harness/hostile-world.ts';
import {
  RawSftp,
  REPLY,
  handleIn,
  statusOf,
  string,
  u16,
  u32,
  u64,
  u8,
  wordsOf,
} from '../harness/raw-sftp.ts';
import type { RawReply, RawTarget } from '../harness/raw-sftp.ts';
import { startStorageMachine } from '../harness/storage-machine.ts';

/** What the storage side promises of one session, whatever its client does: docs/storage-protocol.md. */
const MOST_BYTES = 320 * 1024 * 1024;

interface Attack {
  readonly what: string;
  readonly by?: 'backup' | 'restore';
  readonly attack: (raw: RawSftp) => Promise<void>;
}

/** A session under attack stays within its memory, and ends when its client is gone, with whatever was under way. */
async function attacked(
  t: Test,
  account: HostileAccount,
  { what, by = 'backup', attack }: Attack,
): Promise<void> {
  await t.test(what, async (t) => {
    const before = sessionsOf(account.uid);
    await using raw = await RawSftp.greeted(account.keys[by]);
    const [pid] = sessionsOf(account.uid).filter((other) => !before.includes(other));
    if (pid === undefined) throw new Error('no process of the session');
    await attack(raw);
    if (existsSync(`/proc/${pid}`)) {
      const peak = peakBytes(pid);
      t.ok(peak < MOST_BYTES, `${Math.round(peak / 1e6)} MB`);
    }
    await raw.kill();
    // Without a limit here: a process that never ends is what the test's own time limit is for.
    while (sessionsOf(account.uid).includes(pid)) await delay(50);
    t.pass('it ended with its client');
  });
}

const packed = (bytes: Buffer): Buffer => Buffer.concat([u8(1), zstdCompressSync(bytes)]);
const field = (value: string): Buffer => Buffer.concat([u16(0), u16(value.length), Buffer.from(value)]);
const createBody = (path: string): Buffer => Buffer.concat([string(path), u8(0), u64(0)]);
const begin = (raw: RawSftp, parent: string | null = null): Promise<Record<string, unknown>> =>
  raw.told('begin@bakker', { parent });

/** Many without waiting for one, and then for all. */
async function all(
  raw: RawSftp,
  count: number,
  one: (index: number) => [number, ...Buffer[]],
): Promise<RawReply[]> {
  const asked = Array.from({ length: count }, (_, index) => raw.prepare(...one(index)));
  await raw.sendAll(asked.map(({ bytes }) => bytes));
  const replies = await Promise.all(asked.map(({ reply }) => reply));
  return replies.filter((reply) => reply !== undefined);
}

const verb = (name: string, ...fields: Buffer[]): [number, ...Buffer[]] => [
  PACKET.EXTENDED,
  string(`${name}@bakker`),
  ...fields,
];

t.test('packets that are none end the session, and half a packet holds nobody up', async (t) => {
  await using machine = await startStorageMachine();
  const account = await provisionAccount(machine);
  const { backup } = account.keys;
  const bad: Record<string, Buffer> = {
    'the largest length': u32(0xffff_ffff),
    'just too long': Buffer.concat([u32(272 * 1024 + 1), Buffer.alloc(1000)]),
    'no length': u32(0),
    'too short for an id': Buffer.concat([u32(4), Buffer.alloc(4)]),
    'a second greeting': Buffer.concat([u32(5), u8(PACKET.INIT), u32(3)]),
  };
  for (const [what, bytes] of Object.entries(bad)) {
    await using raw = await RawSftp.greeted(backup);
    raw.send(bytes);
    await raw.ended;
    t.match(raw.stderr, /broke the SFTP protocol/, what);
  }
  for (const bytes of [
    Buffer.concat([u32(5), u8(PACKET.LSTAT), u32(1)]),
    Buffer.from('GET / HTTP/1.0\r\n\r\n'),
  ]) {
    await using raw = RawSftp.connect(backup);
    raw.send(bytes);
    await raw.ended;
    t.match(raw.stderr, /broke the SFTP protocol/, 'instead of a greeting');
  }
  await using stalled = await RawSftp.greeted(backup);
  stalled.send(Buffer.concat([u32(250_000), u8(PACKET.EXTENDED), u32(77), Buffer.alloc(200_000)]));
  await using other = await RawSftp.greeted(backup);
  await begin(other);
  t.equal((await other.extended('put@bakker', putBody('x', 'x')))?.type, REPLY.EXTENDED, 'others are served');
  await other.kill();
  await stalled.kill();
  while (sessionsOf(account.uid).length > 0) await delay(50);
  t.pass('and both have ended');
});

t.test('a session takes so much memory and no more, and ends with its client', async (t) => {
  await using machine = await startStorageMachine();
  const account = await provisionAccount(machine);
  const run = await publishRun(account.keys.backup, { 'folder/file': 'x', large: 'x'.repeat(200_000) });
  const asUser = (line: string): void => {
    const own = [`--reuid=${account.uid}`, `--regid=${account.uid}`, '--clear-groups'];
    execFileSync('setpriv', [
      ...own,
      'sh',
      '-c',
      `umask 077; cd "$1" && ${line}`,
      'sh',
      `${account.folder}/${run}`,
    ]);
  };
  asUser('mkdir huge linked && cd huge && seq 1 20000 | xargs touch && cp -al ../huge ../linked');

  await attacked(t, account, {
    what: 'thousands of handles',
    attack: async (raw) => {
      await begin(raw);
      const created = await all(raw, 3000, (index) => verb('create', createBody(`file ${index}`)));
      const opened = await all(raw, 3000, () => [PACKET.OPEN, string(`/${run}/folder/file`), u32(1), u32(0)]);
      t.equal([...created, ...opened].filter(({ type }) => type !== REPLY.STATUS).length, 1024);
      t.equal(statusOf(opened.at(-1)), 4);
      const [first] = created;
      t.equal(
        statusOf(await raw.request(PACKET.CLOSE, string(handleIn(first)))),
        0,
        'those it has, it keeps',
      );
    },
  });
  await attacked(t, account, {
    what: 'a huge folder opened a thousand times, and read a little from each',
    by: 'restore',
    attack: async (raw) => {
      const opened = await all(raw, 1024, () => [PACKET.OPENDIR, string(`/${run}/huge`)]);
      const read = await all(raw, 1024, (index) => [PACKET.READDIR, string(handleIn(opened[index]))]);
      t.ok(read.every(({ type }) => type === REPLY.NAME));
    },
  });
  await attacked(t, account, {
    what: 'names and greetings without end',
    attack: async (raw) => {
      const long = string('a/'.repeat(125_000));
      for (const type of [PACKET.REALPATH, PACKET.LSTAT, PACKET.OPENDIR, PACKET.READLINK]) {
        const replies = await all(raw, 200, () => [type, long]);
        t.ok(
          replies.every((reply) => statusOf(reply) === 4),
          'too long',
        );
      }
      const hello = string(JSON.stringify({ versions: [1], program: 'x'.repeat(250_000) }));
      const versions = string(
        JSON.stringify({ versions: Array.from({ length: 60_000 }, () => 999), program: 'x' }),
      );
      const deep = string('{"versions":' + '['.repeat(250_000));
      for (const body of [hello, versions, deep]) {
        const replies = await all(raw, 100, () => verb('hello', body));
        t.ok(
          replies.every((reply) => statusOf(reply) === 5 && reply.body.length < 1000),
          'shortly refused',
        );
      }
    },
  });
  await attacked(t, account, {
    what: 'scripts that unpack to a thousand times their size, hundreds at once',
    attack: async (raw) => {
      await begin(raw);
      const path = Array.from({ length: 16 }, () => 'x'.repeat(249)).join('/');
      const large = packed(
        Buffer.concat(Array.from({ length: 260 }, () => Buffer.concat([u8(5), field(path)]))),
      );
      t.ok(large.length < 2000, `${large.length} bytes`);
      const replies = await all(raw, 1000, () => verb('tree', large));
      t.ok(replies.every(({ type }) => type === REPLY.EXTENDED));
      const million = await raw.extended('tree@bakker', packed(Buffer.alloc(1024 * 1024, 2)));
      t.equal(million?.type, REPLY.EXTENDED, 'a million operations');
      for (const bomb of [Buffer.alloc(1024 * 1024 + 1, 2), Buffer.alloc(64 * 1024 * 1024)]) {
        const refused = await all(raw, 100, () => verb('tree', packed(bomb)));
        t.ok(
          refused.every((reply) => statusOf(reply) === 5),
          'more is refused',
        );
        const manifests = await all(raw, 100, () => verb('manifest', u8(0x82), packed(bomb)));
        t.ok(manifests.every((reply) => statusOf(reply) === 5));
      }
    },
  });
  await attacked(t, account, {
    what: 'a line of a manifest in millions of pieces',
    attack: async (raw) => {
      await begin(raw);
      const pieces = Buffer.concat(
        Array.from({ length: 170_000 }, () => Buffer.from('\x01\0\0\0\x01x', 'latin1')),
      );
      const body = packed(pieces);
      let last: RawReply | undefined;
      // 16 MiB and more of one line: the last pieces are too much.
      for (let piece = 0; piece < 100; piece++) last = await raw.request(...verb('manifest', u8(2), body));
      t.equal(statusOf(last), 1003, wordsOf(last));
    },
  });
  await attacked(t, account, {
    what: 'a client that asks for much and reads none of it',
    attack: async (raw) => {
      const open = await raw.request(PACKET.OPEN, string(`/${run}/large`), u32(1), u32(0));
      const read = (): Buffer =>
        raw.prepare(PACKET.READ, string(handleIn(open)), u64(0), u32(255 * 1024)).bytes;
      raw.stopReading();
      const sent = raw.sendAll(Array.from({ length: 100_000 }, read));
      await Promise.race([sent, delay(3000)]);
    },
  });
  await attacked(t, account, {
    what: 'what runs would free, asked hundreds of times at once',
    by: 'restore',
    attack: async (raw) => {
      const asked = all(raw, 250, () => verb('usage', string(JSON.stringify({ runs: [run] }))));
      await Promise.race([asked, delay(8000)]);
      raw.stopReading();
    },
  });
  await attacked(t, account, {
    what: 'scripts of hundred thousands of folders, and gone',
    attack: async (raw) => {
      await begin(raw);
      const deep = Array.from({ length: 250 }, (_, index) => {
        return Buffer.concat([u8(5), field(`${index}/${'d/'.repeat(900)}d`)]);
      });
      for (let index = 0; index < 250; index++)
        raw.send(raw.prepare(...verb('tree', packed(Buffer.concat(deep)))).bytes);
      await delay(1500);
    },
  });
  await attacked(t, account, {
    what: 'files of a terabyte of nothing, and gone',
    attack: async (raw) => {
      await begin(raw);
      for (let index = 0; index < 20; index++) {
        const file = handleIn(await raw.request(...verb('create', createBody(`sparse ${index}`))));
        const finish = verb('finish', string(file), u64(2n ** 40n), u64(0), u8(0));
        raw.send(raw.prepare(...finish).bytes);
      }
      await delay(1000);
    },
  });
  await attacked(t, account, {
    what: 'more copies than a session may have open, all of them hashed at once, and gone',
    attack: async (raw) => {
      const { token } = await begin(raw);
      const base = handleIn(await raw.request(...verb('create', createBody('base'))));
      await raw.request(PACKET.WRITE, string(base), u64(50_000_000), string('the end of a hole'));
      await raw.request(...verb('finish', string(base), u64(60_000_000), u64(0), u8(0)));
      const source = string(`${String(token)}/base`);
      const clones = await all(raw, 1100, (index) =>
        verb('clone-file', source, string(`copy ${index}`), u64(2n ** 64n - 1n)),
      );
      const handles = clones.filter(({ type }) => type === REPLY.HANDLE).map(handleIn);
      t.equal(handles.length, 1024);
      for (const [index, handle] of handles.entries()) {
        const sizeBytes = u64(index % 2 === 0 ? 60_000_000 : 2n ** 40n);
        raw.send(raw.prepare(...verb('hole', string(handle), u64(1), u64(1_000_000))).bytes);
        raw.send(raw.prepare(...verb('finish', string(handle), sizeBytes, u64(0), u8(0))).bytes);
        if (index % 3 === 0) raw.send(raw.prepare(PACKET.CLOSE, string(handle)).bytes);
      }
      await delay(1000);
    },
  });
  await attacked(t, account, {
    what: 'a parent whose manifest has no end, and gone',
    attack: async (raw) => {
      await begin(raw);
      const bomb = zstdCompressSync(Buffer.concat([Buffer.from('{"a":1}\n'), Buffer.alloc(400e6, 'x\n')]));
      await sendManifest(raw, bomb);
      const sha256 = createHash('sha256').update(bomb).digest('hex');
      const published = await raw.told('publish@bakker', publishBody(NOTHING_COUNTED, sha256));
      await raw.told('clean-up@bakker', {});
      await begin(raw, String(published['run']));
      const moved = Buffer.concat([u8(0), u8(4), field('a'), field('a')]);
      for (let index = 0; index < 250; index++)
        raw.send(raw.prepare(...verb('manifest', u8(0x82), moved)).bytes);
      await delay(1500);
    },
  });
  await attacked(t, account, {
    what: 'the list of runs, thousands of times',
    attack: async (raw) => {
      const replies = await all(raw, 3000, () => verb('list', string('{"receipts":true}')));
      t.ok(replies.every(({ type }) => type === REPLY.EXTENDED));
      const verdicts = await all(raw, 1000, () => verb('verdicts', string('{}')));
      t.ok(verdicts.every(({ type }) => type === REPLY.EXTENDED));
    },
  });
});

t.test(
  'whatever a run is made of counts: an account keeps to its size, and others have theirs',
  async (t) => {
    await using machine = await startStorageMachine();
    const account = await provisionAccount(machine, '64M');
    const other = await provisionAccount(machine, '64M');
    // What completes a run may use the reserve, too, which is as large as this at most.
    const limit = 64 * 1024 * 1024;
    const most = limit / 4096;
    const inodes = (): number =>
      Number(execFileSync('sh', ['-c', 'find "$1" | wc -l', 'sh', account.folder], { encoding: 'utf8' }));
    const kinds: Record<string, (raw: RawSftp) => Promise<RawReply[]>> = {
      'empty files': (raw) =>
        all(raw, most + 2000, (index) => verb('put', putBody(`${index % 100}/${index}`, ''))),
      folders: async (raw) => {
        const scripts = Array.from({ length: 60 }, (_, part) =>
          script((tree) => {
            for (let index = 0; index < 1000; index++) tree.directory(Buffer.from(`${part}/${index}`));
          }),
        );
        return all(raw, scripts.length, (index) => verb('tree', scripts[index]!));
      },
      symlinks: async (raw) => {
        const scripts = Array.from({ length: 60 }, (_, part) =>
          script((tree) => {
            for (let index = 0; index < 1000; index++)
              tree.symlink(Buffer.from(`${part}-${index}`), Buffer.alloc(300, 'x'));
          }),
        );
        return all(raw, scripts.length, (index) => verb('tree', scripts[index]!));
      },
      manifests: (raw) => all(raw, 1000, () => verb('manifest', u8(1), Buffer.alloc(250_000, 1))),
    };
    for (const [what, store] of Object.entries(kinds)) {
      await using raw = await RawSftp.greeted(account.keys.backup);
      await begin(raw);
      const replies = await store(raw);
      t.equal(statusOf(replies.at(-1)), 15, `${what}: ${wordsOf(replies.at(-1))}`);
      t.ok(statusOf(replies[0]) === undefined || statusOf(replies[0]) === 0, `${what}: the first are taken`);
      t.ok(inodes() < 2 * most + 100, `${inodes()} inodes`);
      await raw.json('abandon@bakker', {});
      await raw.end();
      const taken = Number(execFileSync('du', ['-s', '-B1', account.folder]).toString().split('\t')[0]);
      const { usedBytes } = JSON.parse(readFileSync(`${account.folder}/.bakker/usage.json`, 'utf8')) as {
        usedBytes: number;
      };
      t.ok(usedBytes >= taken && usedBytes < taken + 1e6, `${what}: ${usedBytes} counted, ${taken} taken`);
    }
    await publishRun(other.keys.backup, { 'folder/file': 'x' });
    t.pass('another account takes its run');
  },
);

t.test('an account has so many sessions at once, and no more', async (t) => {
  await using machine = await startStorageMachine();
  const account = await provisionAccount(machine);
  const other = await provisionAccount(machine);
  await publishRun(account.keys.backup, { file: 'x' });
  const sessions: RawSftp[] = [];
  try {
    for (let index = 0; index < 32; index++) {
      const target: RawTarget = index % 2 === 0 ? account.keys.backup : account.keys.restore;
      sessions.push(await RawSftp.greeted(target));
    }
    for (const target of Object.values(account.keys)) {
      await using refused = await RawSftp.open(target);
      const reply = await refused.json('hello@bakker', { versions: [1], program: 'a hostile client' });
      t.match(wordsOf(reply), /32 sessions are open in the account/);
    }
    await publishRun(other.keys.backup, { file: 'x' });
    const [first] = sessions;
    await first?.kill();
    while (sessionsOf(account.uid).length > 31) await delay(50);
    sessions.push(await RawSftp.greeted(account.keys.backup));
    t.pass('when one has ended, the next is served');
  } finally {
    await Promise.all(sessions.map((session) => session.kill()));
  }
});
