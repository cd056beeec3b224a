import { PACKET } from '@bakker/sftp';
import { createHash } from 'node:crypto';
import t from 'tap';
import { plainRequests, verbRequests } from './harness/hostile-requests.ts';
import type { HostileRequest } from './harness/hostile-requests.ts';
import {
  NOTHING_COUNTED,
  provisionAccount,
  publishBody,
  publishRun,
  script,
  sendManifest,
} from './harness/hostile-world.ts';
import { RawSftp, statusOf, string, u16, u32, u64, u8 } from './harness/raw-sftp.ts';
import type { RawReply } from './harness/raw-sftp.ts';
import { startStorageMachine } from './harness/storage-machine.ts';

/** Sizes that nothing else has. */
const SECRET = Buffer.alloc(31_337, 'the content ');
const OTHER = Buffer.alloc(77_773, 'other content ');

t.test(
  'a stolen key that may not read gets no content, name, size or hash out of what is stored',
  async (t) => {
    await using machine = await startStorageMachine();
    const account = await provisionAccount(machine);
    const run = await publishRun(account.keys.backup, {
      'hidden-folder/hidden-name': SECRET,
      'hidden-folder/other-name': OTHER,
      'known/name': 'what the thief knows already',
    });
    const sha256 = [SECRET, OTHER].map((content) => createHash('sha256').update(content).digest());
    const replies: RawReply[] = [];
    await using raw = await RawSftp.greeted(account.keys['no-read']);
    const ask = async (...request: [number, ...Buffer[]]): Promise<RawReply | undefined> => {
      const reply = await raw.request(...request);
      if (reply !== undefined) replies.push(reply);
      return reply;
    };
    const verb = (name: string, ...fields: Buffer[]): Promise<RawReply | undefined> =>
      ask(PACKET.EXTENDED, string(`${name}@bakker`), ...fields);
    const tell = (name: string, value: object): Promise<RawReply | undefined> =>
      verb(name, string(JSON.stringify(value)));
    const askAll = async (requests: Iterable<HostileRequest>): Promise<void> => {
      for (const { type, fields } of requests) await ask(type, ...fields);
    };
    // Everything there is to ask, of what the thief may guess; then whatever runs may be made of.
    const paths = [
      '/',
      '.',
      '',
      `/${run}`,
      `/${run}.impl`,
      '/latest',
      '/latest/known',
      `/${run}/known/name`,
      '/.bakker',
    ];
    const aim = {
      paths: [...paths, `${run}/known/name`, `/.bakker/receipts/${run}.json`].map((path) =>
        Buffer.from(path),
      ),
      handles: [Buffer.from('12345678')],
      runs: [run],
      tokens: [],
    };
    await askAll(plainRequests(aim));
    await askAll(verbRequests(aim));
    for (const request of [{}, { receipts: true }]) await tell('list', request);
    await tell('usage', { runs: [run] });
    await tell('space', {});
    const judged = await tell('verdicts', {});
    t.match(judged?.body.toString('latin1'), /"hurtFiles":0/, 'what it is told of runs');
    await tell('abandon', {});
    const attempts: readonly (() => Promise<unknown>)[] = [
      () =>
        verb(
          'tree',
          script((tree) => tree.keepRest()),
        ),
      () =>
        verb(
          'tree',
          script((tree) => tree.keepUntil(Buffer.from('i'))),
        ),
      () =>
        verb(
          'tree',
          script((tree) => tree.skip(Buffer.from('hidden-folder'))),
        ),
      () =>
        verb(
          'tree',
          script((tree) => tree.link(Buffer.from('taken'), '', Buffer.from('known/name'))),
        ),
      () =>
        verb(
          'tree',
          script((tree) => tree.link(Buffer.from('x'), run, Buffer.from('hidden-folder'))),
        ),
      () => verb('manifest', u8(0x82), u8(0), u8(2), u32(1)),
      () =>
        verb(
          'manifest',
          u8(0x82),
          u8(0),
          u8(4),
          u16(0),
          u16(1),
          Buffer.from('a'),
          u16(0),
          u16(1),
          Buffer.from('a'),
        ),
    ];
    for (const attempt of attempts) {
      t.equal((await tell('begin', { parent: run }))?.type, 201);
      await attempt();
      const sum = await sendManifest(raw, Buffer.from('m'));
      // Wrong on purpose: what the storage counted would be the answer.
      const wrong = await tell('publish', publishBody({ ...NOTHING_COUNTED, files: 1e9 }, sum));
      t.equal(statusOf(wrong), 1002);
      t.notMatch(wrong?.body.toString('latin1'), /[0-9]/, 'no figure is told');
      // All of it wrong but the counts, perhaps: that tells nothing, since only a run that is published was counted right.
      const guess = await tell(
        'publish',
        publishBody({ ...NOTHING_COUNTED, files: 1, bytes: 28 }, 'ab'.repeat(32)),
      );
      t.equal(statusOf(guess), 1003);
      await tell('abandon', {});
    }
    // Of the content a byte is copied, and the rest known: each answer that depends on it would tell it.
    const { token } = JSON.parse(
      (await tell('begin', { parent: run }))?.body.subarray(4).toString() ?? '{}',
    ) as {
      token: string;
    };
    for (const [source, bytes, size] of [
      [`${run}/hidden-folder/hidden-name`, 1n, 1],
      [`${run}/hidden-folder/hidden-name`, 2n ** 64n - 1n, SECRET.length],
      [`${run}/hidden-folder/other-name`, 10n ** 15n, OTHER.length],
      [`${token}/1`, 1n, 1],
    ] as const) {
      const name = String(replies.length);
      const cloned = await verb('clone-file', string(source), string(`${replies.length}`), u64(bytes));
      if (source.startsWith(token)) {
        t.equal(statusOf(cloned), 2, 'what is not there');
        continue;
      }
      t.equal(cloned?.type, PACKET.HANDLE);
      const handle = string(cloned?.body.subarray(4) ?? '');
      t.equal(statusOf(await ask(PACKET.FSTAT, handle)), 3);
      t.equal(statusOf(await ask(PACKET.READ, handle, u64(0), u32(100))), 5);
      const finished = await verb('finish', handle, u64(size), u64(0), u8(0));
      t.equal(finished?.body.length, 0, `nothing is told of ${name}`);
      t.equal(statusOf(await ask(PACKET.OPEN, string(`/${token}/${name}`), u32(1), u32(0))), 3);
    }
    await tell('abandon', {});
    // And a run that is published, in which the past was kept, can't be read either.
    await tell('begin', { parent: run });
    await verb(
      'tree',
      script((tree) => tree.link(Buffer.from('taken'), '', Buffer.from('known/name'))),
    );
    const published = await tell(
      'publish',
      publishBody({ ...NOTHING_COUNTED, files: 1, bytes: 28 }, await sendManifest(raw, Buffer.from('m'))),
    );
    t.equal(published?.type, 201);
    await tell('list', { receipts: true });
    await ask(PACKET.OPEN, string('/latest/taken'), u32(1), u32(0));

    // without the random tokens, which may hold any few digits by chance
    const text = replies.map(({ body }) => body.toString('latin1').replace(/[0-9a-f]{32}/g, ''));
    const all = Buffer.from(text.join('\n'), 'latin1');
    t.ok(replies.length > 3000, `${replies.length} answers`);
    const secrets: Record<string, string | Buffer> = {
      content: 'the content',
      'other content': 'other content',
      'a name': 'hidden-name',
      'another name': 'other-name',
      'a folder': 'hidden-folder',
      'a size': String(SECRET.length),
      'another size': String(OTHER.length),
      'both sizes': String(SECRET.length + OTHER.length + 28),
      'sizes as bytes': u32(SECRET.length),
      receipts: 'manifestDigest',
      'a manifest': `the manifest of`,
      ...Object.fromEntries(
        sha256.flatMap((sum, index) => [
          [`hash ${index}`, sum],
          [`hash ${index} as hex`, sum.toString('hex')],
        ]),
      ),
    };
    for (const [what, secret] of Object.entries(secrets)) t.equal(all.indexOf(secret), -1, what);

    // What a key that may read gets, to show that it is there to be found.
    await using reader = await RawSftp.greeted(account.keys.backup);
    t.match(JSON.stringify(await reader.told('list@bakker', { receipts: true })), /manifestDigest/);
    await reader.told('begin@bakker', { parent: run }).catch(() => undefined);
    for (const verb of ['get@bakker', 'get-many@bakker']) {
      const got = await reader.extended(
        verb,
        Buffer.concat([string(`${run}/hidden-folder/hidden-name`), u32(100_000)]),
      );
      t.ok(got?.body.includes('the content'), verb);
    }
  },
);
