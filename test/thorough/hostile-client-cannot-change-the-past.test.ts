import { VERB } from '@bakker/impl-format';
import { EXTENSION, PACKET } from '@bakker/sftp';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import {
  EXTENSIONS,
  ON_OWN_FILES,
  PLAIN,
  READING,
  VERBS,
  plainRequests,
  unknownTypes,
  verbRequests,
} from '../harness/hostile-requests.ts';
import type { Aim, HostileRequest } from '../harness/hostile-requests.ts';
import {
  NOTHING_COUNTED,
  RIGHTS,
  printPast,
  provisionAccount,
  publishBody,
  publishRun,
  putBody,
  script,
  sendManifest,
} from '../harness/hostile-world.ts';
import type { HostileAccount, PastPrint } from '../harness/hostile-world.ts';
import { RawSftp, handleIn, statusOf, string, u32, u64, u8, wordsOf } from '../harness/raw-sftp.ts';
import type { RawReply } from '../harness/raw-sftp.ts';
import { startStorageMachine } from '../harness/storage-machine.ts';
import type { StorageMachine } from '../harness/storage-machine.ts';
import { startSwapping } from '../harness/swapper.ts';

/** An account with a past: two runs, a run in the trash, and what a killed session left. */
interface Victim extends HostileAccount {
  readonly runs: readonly [string, string];
  readonly token: string;
}

async function makeVictim(machine: StorageMachine): Promise<Victim> {
  const account = await provisionAccount(machine);
  const { backup } = account.keys;
  const first = await publishRun(backup, { 'folder/file': 'the first', 'a/b/c.sh': 'echo', top: 'top' });
  const second = await publishRun(backup, { 'folder/file': 'the second', other: Buffer.alloc(300, 'o') });
  execFileSync('setpriv', [
    ...[`--reuid=${account.uid}`, `--regid=${account.uid}`, '--clear-groups', 'sh', '-c'],
    'cd "$1" && cp -al "$2" .bakker/trash/2020_01_01_01 && echo "{}" > .bakker/hurt.json',
    ...['sh', account.folder, first],
  ]);
  await using dying = await RawSftp.greeted(backup);
  const begun = await dying.told('begin@bakker', { parent: null });
  await dying.extended('put@bakker', putBody('left', 'left behind'));
  await dying.kill();
  return { ...account, runs: [first, second], token: String(begun['token']) };
}

function aimAt(victim: Victim, handles: readonly Buffer[], own = 'no-run', tokens: string[] = []): Aim {
  const [first, second] = victim.runs;
  const paths = [
    ...[`/${first}/folder/file`, `/${second}.impl`, '/latest', `/${first}`, '/latest/folder/file', '/new'],
    ...[`/.bakker/receipts/${first}.json`, `/${own}.incomplete/mine`],
    // The first eight are one end of whatever has two.
    ...[`/${first}/a/b/c.sh`, `/${first}/folder`, `/${first}/symlink`, `/${first}/new`, `/${first}.impl/x`],
    ...[`/${second}`, `/${second}/`, first, `${first}/folder/file`, '/latest/', '/latest/new'],
    ...['/.bakker', '/.bakker/id', '/.bakker/lock', '/.bakker/receipts', '/.bakker/account.yaml'],
    ...['/.bakker/agent.yaml', '/.bakker/frozen.json', '/.bakker/hurt.json', '/.bakker/trash'],
    ...['/.bakker/trash/2020_01_01_01/folder/file', `/.bakker/carried/${victim.token}/left`],
    ...[`/${own}.incomplete`, `/${own}.incomplete/new`, '/2099_01_01_01', '/2099_01_01_01.incomplete'],
    ...['', '/', '.', '..', '/..', '/../..', `/../${victim.name}/${first}/folder/file`, '/etc/passwd'],
    ...[`${victim.folder}/${first}/folder/file`, `//${first}/.//folder/../folder/file`, '/proc/self/fd/0'],
    ...[`/${first}/folder/file/../file`, '../../../../../../etc/passwd', `/${first}/../${second}/other`],
    ...[`/${first}/${'n'.repeat(255)}`, `/${first}/${'n'.repeat(256)}`, 'x/'.repeat(2047) + 'x'],
    ...['x/'.repeat(10_000), '../'.repeat(10_000), `/${first}/a\0b`, `/${first}/\xff\xfe\n`],
  ];
  return {
    paths: paths.map((path) => Buffer.from(path, 'latin1')),
    handles: [...handles, ...FORGED],
    runs: victim.runs,
    tokens: [victim.token, ...tokens],
  };
}

/** Handles that were never given, some of them as the server gives them. */
const FORGED = [
  ...[u64(0), u64(3), u64(2n ** 53n), u64(2n ** 64n - 1n), u32(1), Buffer.alloc(0), Buffer.alloc(256, 1)],
  Buffer.alloc(1000, 0xff),
];

/** Sends all of them without waiting, and gives each with its answer. */
async function ask(
  raw: RawSftp,
  requests: Iterable<HostileRequest>,
): Promise<{ request: HostileRequest; reply: RawReply | undefined }[]> {
  const asked: { request: HostileRequest; reply: Promise<RawReply | undefined> }[] = [];
  const pieces = function* (): Generator<Buffer> {
    for (const request of requests) {
      const { bytes, reply } = raw.prepare(request.type, ...request.fields);
      asked.push({ request, reply });
      yield bytes;
    }
  };
  await raw.sendAll(pieces());
  return Promise.all(asked.map(async ({ request, reply }) => ({ request, reply: await reply })));
}

interface Sweep {
  readonly right: (typeof RIGHTS)[number];
  /** Position in the aim of new files that the session may write. */
  readonly ownFiles?: readonly number[];
}

/** Asks everything of standard SFTP, and holds each answer to what it has to be. */
async function sweep(t: Test, raw: RawSftp, aim: Aim, { right, ownFiles = [] }: Sweep): Promise<void> {
  const answers = await ask(raw, [...plainRequests(aim), ...unknownTypes(aim)]);
  const wrong: string[] = [];
  const refusals = new Map<string, Set<string>>();
  for (const { request, reply } of answers) {
    const { name, what } = request;
    const status = statusOf(reply);
    const isOwn = ownFiles.some((index) => what.startsWith(`handle ${index}`));
    if (reply === undefined) wrong.push(`${name} ${what}: no answer`);
    else if (!READING.has(name) && !(ON_OWN_FILES.has(name) && isOwn)) {
      if (status === undefined || status < 2) wrong.push(`${name} ${what}: ${wordsOf(reply)}`);
    } else if (right === 'no-read' && ['LSTAT', 'STAT', 'READLINK', 'OPENDIR', 'OPEN-READ'].includes(name)) {
      if (status !== 3 && status !== 5) wrong.push(`${name} ${what}: ${wordsOf(reply)}`);
      refusals.set(name, (refusals.get(name) ?? new Set()).add(wordsOf(reply).replace(/^5 .*/, 'senseless')));
    }
  }
  t.same(wrong.slice(0, 10), [], `${answers.length} requests, and none does what it should not`);
  for (const [name, words] of refusals) {
    t.equal([...words].filter((text) => text !== 'senseless').length, 1, `${name} is refused in one way`);
  }
}

function same(t: Test, account: HostileAccount, before: PastPrint, when: string): void {
  t.same(printPast(account.folder), before, `history is identical ${when}`);
}

/** The same, but further names of old files may have been made, which their inodes tell. */
function sameButLinks(t: Test, account: HostileAccount, before: PastPrint, when: string): void {
  const now = printPast(account.folder);
  t.same({ ...now, inodes: '' }, { ...before, inodes: '' }, `history is identical ${when}`);
}

t.test('every request that the protocol knows is among those asked', async (t) => {
  const requests = Object.entries(PACKET).filter(([name, type]) => type < 100 && !/INIT|VERSION/.test(name));
  t.same(Object.keys(PLAIN).sort(), requests.map(([name]) => name).sort());
  t.same(Object.keys(EXTENSIONS).sort(), Object.keys(EXTENSION).sort());
  t.same(Object.keys(VERBS).sort(), Object.keys(VERB).sort());
  const aim = { paths: [Buffer.from('x')], handles: [Buffer.from('h')], runs: ['x'], tokens: [] };
  const asked = [...plainRequests(aim), ...unknownTypes(aim)];
  const types = new Set(asked.map(({ type }) => type));
  t.same(
    Array.from({ length: 254 }, (_, index) => index + 2).filter((type) => !types.has(type)),
    [],
    'each number that a packet can have, but that of the greeting',
  );
  const flags = asked.filter(({ type }) => type === PACKET.OPEN).map(({ what }) => what.split(' ')[0]);
  t.equal(new Set(flags).size, 64, 'each combination of flags of OPEN');
  for (const row of Object.keys(VERBS)) {
    t.ok([...verbRequests(aim)].filter(({ name }) => name === row).length > 0, row);
  }
});

t.test('no request of standard SFTP changes the past, by whichever key and at whatever moment', async (t) => {
  await using machine = await startStorageMachine();
  const victim = await makeVictim(machine);
  const before = printPast(victim.folder);
  t.match(before.contents, /trash/, 'the trash is looked at, too');
  for (const right of RIGHTS) {
    await t.test(`with the key for ${right}`, async (t) => {
      await using raw = await RawSftp.open(victim.keys[right]);
      await sweep(t, raw, aimAt(victim, []), { right });
      same(t, victim, before, 'before hello');
      await raw.told('hello@bakker', { versions: [1], program: 'x' });
      const held = right === 'no-read' ? [] : await heldOfPast(raw, victim.runs[0]);
      await sweep(t, raw, aimAt(victim, held), { right });
      same(t, victim, before, 'after hello');
      t.notOk(raw.hasEnded, 'and the session goes on');
    });
  }
  for (const right of ['backup', 'no-read'] as const) {
    await t.test(`${right}: while a run is written, published, and after`, async (t) => {
      await using raw = await RawSftp.greeted(victim.keys[right]);
      await using other = await RawSftp.greeted(victim.keys[right]);
      const past = printPast(victim.folder);
      const begun = await raw.told('begin@bakker', { parent: victim.runs[1] });
      const own = String(begun['run']);
      await raw.extended('put@bakker', putBody('mine', 'mine'));
      const created = async (path: string): Promise<Buffer> =>
        handleIn(await raw.extended('create@bakker', Buffer.concat([string(path), u8(0), u64(0)])));
      const file = await created('large');
      const held = [file, ...(right === 'no-read' ? [] : await heldOfPast(raw, victim.runs[0]))];
      const tokens = [String(begun['token'])];
      const aim = aimAt(victim, held, own, tokens);
      await Promise.all([
        sweep(t, raw, aim, { right, ownFiles: [0] }),
        sweep(t, other, aimAt(victim, [file], own, tokens), { right }),
      ]);
      t.equal(statusOf(await other.json('begin@bakker', { parent: null })), 17, 'one writes at a time');
      for (const verb of ['abandon@bakker', 'clean-up@bakker']) {
        t.equal(statusOf(await other.json(verb, {})), 5, `${verb} of what another session began`);
      }
      same(t, victim, past, 'while a run is written');

      // The sweep has closed the file, which was never finished: it is gone. Another one is finished, and its handle kept.
      const done = await created('done');
      const finish = Buffer.concat([string(done), u64(4), u64(0), u8(0)]);
      await raw.request(PACKET.WRITE, string(done), u64(0), string('done'));
      t.equal(statusOf(await raw.extended('finish@bakker', finish)), undefined);
      const manifest = await sendManifest(raw, Buffer.from('manifest'));
      const opened = await raw.request(PACKET.OPEN, string(`/${own}.incomplete/mine`), u32(1), u32(0));
      t.equal(statusOf(opened), 3, 'nothing of it is opened before');
      const late = aimAt(victim, [done], own, tokens);
      // publish, and behind it, in the same breath, whatever might still write.
      const published = raw.json(
        'publish@bakker',
        publishBody({ ...NOTHING_COUNTED, files: 2, bytes: 8 }, manifest),
      );
      const racing = await Promise.all([
        ...['mine', 'done', 'new'].map((path) => raw.extended('put@bakker', putBody(path, 'late'))),
        raw.extended('create@bakker', Buffer.concat([string('new'), u8(0), u64(0)])),
        raw.extended(
          'tree@bakker',
          script((tree) => tree.directory(Buffer.from('late'))),
        ),
        raw.extended('finish@bakker', finish),
        raw.extended(
          'clone-file@bakker',
          Buffer.concat([string(`${victim.runs[0]}/folder/file`), string('late'), u64(2n ** 64n - 1n)]),
        ),
        raw.extended('hole@bakker', Buffer.concat([string(done), u64(0), u64(4)])),
        raw.request(PACKET.FSETSTAT, string(done), u32(1), u64(0)),
        raw.extended('restart@bakker', string(done)),
        raw.extended('discard@bakker', string(done)),
        raw.extended('manifest@bakker', Buffer.concat([u8(0x81), Buffer.from('late')])),
        raw.request(PACKET.WRITE, string(done), u64(0), string('late')),
      ]);
      t.equal(statusOf(await published), undefined, wordsOf(await published));
      t.same(
        racing.map(statusOf),
        racing.map(() => 5),
        'what comes behind publish is refused',
      );
      const after = printPast(victim.folder);
      t.match(after.names, new RegExp(`^./${own}/done\\|f\\|0400`, 'm'));
      await sweep(t, raw, late, { right });
      const served = (await ask(raw, verbRequests(late))).filter(
        // Wishes for space are no part of the past, and what only tells may tell.
        ({ request: { name }, reply }) =>
          !['list', 'space', 'usage', 'verdicts', 'get', 'getMany', 'requestSpace'].includes(name) &&
          (statusOf(reply) ?? 0) < 2,
      );
      t.same(
        served.map(({ request }) => `${request.name} ${request.what}`),
        [],
        'and no verb writes',
      );
      same(t, victim, after, 'after publish, with handles kept open');
      t.equal(statusOf(await raw.json('clean-up@bakker', {})), undefined);
      same(t, victim, after, 'after clean-up');
      t.notOk(raw.hasEnded);
    });
  }
});

t.test('no verb changes the past, whatever is said in it', async (t) => {
  await using machine = await startStorageMachine();
  const victim = await makeVictim(machine);
  const outside = machine.folder;
  const neighbours = (): string[] => [...readdirSync(outside), ...readdirSync(machine.rootDir)].sort();
  const around = neighbours();
  for (const right of RIGHTS) {
    await t.test(`with the key for ${right}`, async (t) => {
      const before = printPast(victim.folder);
      await using raw = await RawSftp.open(victim.keys[right]);
      const refusedEarly = await ask(raw, verbRequests(aimAt(victim, [])));
      t.same(
        refusedEarly.filter(({ reply }) => (statusOf(reply) ?? 0) < 2).map(({ request }) => request.what),
        [],
        'before hello none is served',
      );
      await raw.told('hello@bakker', { versions: [1], program: 'x' });
      await ask(raw, verbRequests(aimAt(victim, [])));
      sameButLinks(t, victim, before, 'before a run is begun');
      if (right === 'restore') {
        same(t, victim, before, 'by who may only read');
        return;
      }
      // Begun by the last of them, or not.
      await raw.json('abandon@bakker', {});
      let begun = await raw.told('begin@bakker', { parent: victim.runs[1] });
      const aim = (): Aim => aimAt(victim, [], String(begun['run']), [String(begun['token'])]);
      let scripts = 0;
      for (const request of verbRequests(aim())) {
        if (request.name !== 'tree') continue;
        scripts++;
        const reply = await raw.request(request.type, ...request.fields);
        if (statusOf(reply) === 5) continue;
        // It did something, or nothing more can be done in this run: another one.
        await raw.told('abandon@bakker', {});
        begun = await raw.told('begin@bakker', { parent: victim.runs[1] });
      }
      t.ok(scripts > 500, `${scripts} scripts`);
      sameButLinks(t, victim, before, 'after scripts');
      const file = handleIn(
        await raw.extended('create@bakker', Buffer.concat([string('mine'), u8(0), u64(0)])),
      );
      const rest = [...verbRequests({ ...aim(), handles: [...FORGED, file] })];
      await ask(
        raw,
        rest.filter(({ name }) => name !== 'tree'),
      );
      sameButLinks(t, victim, before, 'while a run is written');
      t.notOk(raw.hasEnded, 'and the session goes on');
      await raw.told('abandon@bakker', {});
      sameButLinks(t, victim, before, 'when it was given up');
    });
  }
  t.same(neighbours(), around, 'nothing was made outside of the account');
});

t.test('a publish that fails half-way leaves nothing to write with', async (t) => {
  await using machine = await startStorageMachine();
  const victim = await makeVictim(machine);
  await using raw = await RawSftp.greeted(victim.keys.backup);
  const begun = await raw.told('begin@bakker', { parent: victim.runs[1] });
  await raw.extended('put@bakker', putBody('mine', 'mine'));
  const manifest = await sendManifest(raw, Buffer.from('manifest'));
  // Its last step has no place to go: by then the session has closed all that it wrote with.
  mkdirSync(`${victim.folder}/${String(begun['run'])}`);
  const objects = { ...NOTHING_COUNTED, files: 1, bytes: 4 };
  const published = await raw.json('publish@bakker', publishBody(objects, manifest));
  t.equal(statusOf(published), 11, wordsOf(published));
  rmdirSync(`${victim.folder}/${String(begun['run'])}`);
  const before = printPast(victim.folder);
  // Folders of the past take the numbers of descriptors that were given back.
  for (let opened = 0; opened < 20; opened++) await raw.request(PACKET.OPENDIR, string(`/${victim.runs[0]}`));
  const late = await Promise.all([
    ...['late', 'folder/late', 'other/late'].map((path) => raw.extended('put@bakker', putBody(path, 'late'))),
    raw.extended('create@bakker', Buffer.concat([string('large'), u8(0), u64(0)])),
    raw.extended(
      'tree@bakker',
      script((tree) => tree.directory(Buffer.from('late'))),
    ),
    raw.extended(
      'tree@bakker',
      script((tree) => tree.keepRest()),
    ),
    raw.extended('manifest@bakker', Buffer.concat([u8(0x81), Buffer.from('late')])),
    raw.json('publish@bakker', publishBody(objects, manifest)),
  ]);
  t.same(
    late.map(statusOf),
    late.map(() => 5),
    late.map(wordsOf).join('; '),
  );
  same(t, victim, before, 'although it tried');
  await raw.json('abandon@bakker', {});
  same(t, victim, before, 'and gave it up');
});

t.test('symlinks that a run holds lead nowhere, neither in it nor once it is published', async (t) => {
  await using machine = await startStorageMachine();
  const victim = await makeVictim(machine);
  const [first] = victim.runs;
  const { backup, restore } = victim.keys;
  const prey = `${machine.folder}/prey`;
  mkdirSync(prey, { mode: 0o777 });
  execFileSync('sh', ['-c', 'chmod 777 "$1"; echo secret > "$1/secret"; chmod 644 "$1/secret"', 'sh', prey]);
  const targets = ['/', '/etc', prey, `../${first}`, '..', '.', `${victim.folder}/${first}`, '../.bakker'];
  await using raw = await RawSftp.greeted(backup);
  const begun = await raw.told('begin@bakker', { parent: null });
  const own = String(begun['run']);
  const token = String(begun['token']);
  const before = printPast(victim.folder);
  const planted = script((tree) => {
    targets.forEach((target, index) => tree.symlink(Buffer.from(`s${index}`), Buffer.from(target)));
    tree.symlink(Buffer.from('file'), Buffer.from(`../${first}/folder/file`));
  });
  t.equal(statusOf(await raw.extended('tree@bakker', planted)), undefined);
  const below = targets.flatMap((_, index) =>
    ['x', 'folder/file', 'folder/new', 'secret', `${first}/new`].map((rest) => `s${index}/${rest}`),
  );
  for (const path of [...below, 'file', 's0', 's1']) {
    const bytes = Buffer.from(path);
    const attempts = [
      raw.extended('put@bakker', putBody(path, 'planted')),
      raw.extended('create@bakker', Buffer.concat([string(path), u8(0), u64(0)])),
    ];
    for (const [index, reply] of (await Promise.all(attempts)).entries()) {
      t.equal(statusOf(reply), 11, `${index} ${path}: ${wordsOf(reply)}`);
    }
    // Links say of each whether it was made, and nothing else is undone.
    const linked = await raw.extended(
      'tree@bakker',
      script((tree) => {
        if (path.includes('/')) tree.link(Buffer.from(`got ${path}`), token, bytes);
        tree.link(bytes, token, Buffer.from('file'));
      }),
    );
    t.match(linked?.body.subarray(0, 4), u32(path.includes('/') ? 2 : 1), `links with ${path}`);
  }
  same(t, victim, before, 'while it is written');
  t.same(readdirSync(prey), ['secret'], 'nothing was made where the symlinks point');
  const manifest = await sendManifest(raw, Buffer.from('m'));
  const counts = { ...NOTHING_COUNTED, symlinks: targets.length + 1 };
  const published = await raw.json('publish@bakker', publishBody(counts, manifest));
  t.equal(statusOf(published), undefined, wordsOf(published));
  await raw.told('clean-up@bakker', {});
  const after = printPast(victim.folder);

  for (const target of [backup, restore]) {
    await using reader = await RawSftp.greeted(target);
    for (const path of below) {
      const answers = await Promise.all([
        ...[PACKET.LSTAT, PACKET.STAT, PACKET.OPENDIR, PACKET.READLINK].map((type) =>
          reader.request(type, string(`/${own}/${path}`)),
        ),
        reader.request(PACKET.OPEN, string(`/${own}/${path}`), u32(1), u32(0)),
        reader.extended('get@bakker', Buffer.concat([string(`${own}/${path}`), u32(100)])),
      ]);
      t.same(answers.map(statusOf), [2, 2, 2, 2, 2, 2], path);
      const many = await reader.extended(
        'get-many@bakker',
        Buffer.concat([string(`${own}/${path}`), u32(100)]),
      );
      t.equal(many?.body.readUInt32BE(), 2, path);
    }
  }
  // As a parent: what is kept are the symlinks themselves.
  await raw.told('begin@bakker', { parent: own });
  for (const path of below) {
    await raw.extended(
      'tree@bakker',
      script((tree) => tree.link(Buffer.from('taken'), '', Buffer.from(path))),
    );
  }
  const kept = await raw.extended(
    'tree@bakker',
    script((tree) => tree.keepRest()),
  );
  t.equal(statusOf(kept), undefined, wordsOf(kept));
  const told = await raw.json(
    'publish@bakker',
    publishBody(counts, await sendManifest(raw, Buffer.from('n'))),
  );
  t.equal(statusOf(told), undefined, wordsOf(told));
  const now = printPast(victim.folder).names.split('\n');
  const lost = after.names.split('\n').filter((line) => !/^.\/latest/.test(line) && !now.includes(line));
  t.same(lost, [], 'history is what it was, and has one run more');
});

t.test('folders that are swapped for symlinks during the operation lead nowhere', async (t) => {
  await using machine = await startStorageMachine();
  const victim = await makeVictim(machine);
  const [first] = victim.runs;
  const prey = `${machine.folder}/prey`;
  mkdirSync(prey);
  execFileSync('sh', ['-c', 'chmod 777 "$1"; mkdir -m 777 "$1/d0" "$1/d1"', 'sh', prey]);
  await using raw = await RawSftp.greeted(victim.keys.backup);
  const begun = await raw.told('begin@bakker', { parent: victim.runs[1] });
  const root = `${victim.folder}/${String(begun['run'])}.incomplete`;
  const inside = `/${String(begun['run'])}.incomplete`;
  const before = printPast(victim.folder);
  let swaps = 0;
  for (const target of [prey, `../${first}`]) {
    await raw.extended(
      'tree@bakker',
      script((tree) => tree.directory(Buffer.from(`swap${target.length}`))),
    );
    // Another process of the same Unix user, as fast as it can.
    await using swapping = await startSwapping({
      uid: victim.uid,
      folder: root,
      name: `swap${target.length}`,
      target,
    });
    await swapping.started;
    const outcomes = new Map<string, number>();
    for (let round = 0; round < 40; round++) {
      const replies = Array.from({ length: 100 }, (_, index) => {
        // More folders than the server keeps open, so that it has to find its way again each time.
        const path = `swap${target.length}/${index % 10 === 0 ? 'folder' : `d${index}`}/${round}-${index}`;
        return raw.extended('put@bakker', putBody(path, 'planted'));
      });
      for (const reply of await Promise.all(replies)) {
        const words = wordsOf(reply).slice(0, 3);
        outcomes.set(words, (outcomes.get(words) ?? 0) + 1);
      }
      const seen = Array.from({ length: 200 }, (_, index) =>
        raw.request(
          PACKET.STAT,
          string(`${inside}/swap${target.length}/${index % 2 === 0 ? 'folder/file' : 'a/b/c.sh'}`),
        ),
      );
      const found = (await Promise.all(seen)).filter((reply) => statusOf(reply) !== 2);
      if (found.length > 0) t.fail('something was seen through a symlink');
    }
    swaps += await swapping.stop();
    t.ok((outcomes.get('ans') ?? 0) > 0, 'some came while it was a folder');
    t.ok((outcomes.get('11 ') ?? 0) > 0, 'and some while it was a symlink');
  }
  t.ok(swaps > 1000, `${swaps} swaps`);
  t.same(readdirSync(`${prey}/d0`), []);
  t.same(readdirSync(prey).sort(), ['d0', 'd1'], 'nothing was made where the symlink points');
  same(t, victim, before, 'after the swaps');
  t.equal(readFileSync(`${victim.folder}/${first}/folder/file`, 'utf8'), 'the first');
});

/** A file and a folder of a run, opened to be read. */
async function heldOfPast(raw: RawSftp, run: string): Promise<Buffer[]> {
  return [
    handleIn(await raw.request(PACKET.OPEN, string(`/${run}/folder/file`), u32(1), u32(0))),
    handleIn(await raw.request(PACKET.OPENDIR, string(`/${run}`))),
  ];
}
