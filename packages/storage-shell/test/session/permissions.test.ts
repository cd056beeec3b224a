import { OPEN, SftpStatusError } from '@bakker/sftp';
import type { SftpClient } from '@bakker/sftp';
import { VERB } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import t from 'tap';
import { PERMISSIONS } from '../../src/session/permissions.ts';
import type { Operation } from '../../src/session/permissions.ts';
import { Shell, publishRun, string, temporaryRoot, u64 } from './shell-client.ts';

/** All that is in a folder: content, modes, times, links and attributes of every name. */
function fingerprint(folder: string): string {
  const hash = createHash('sha256');
  const visit = (path: string): void => {
    const stat = lstatSync(path, { bigint: true });
    hash.update(
      JSON.stringify([
        path,
        ...[stat.mode, stat.size, stat.mtimeNs, stat.nlink, stat.ino, stat.uid].map(String),
      ]),
    );
    if (stat.isSymbolicLink()) hash.update(readlinkSync(path));
    else if (stat.isFile()) hash.update(readFileSync(path));
    else for (const name of readdirSync(path).sort()) visit(`${path}/${name}`);
  };
  for (const name of readdirSync(folder).sort()) if (name !== '.bakker') visit(`${folder}/${name}`);
  visit(`${folder}/.bakker/receipts`);
  visit(`${folder}/.bakker/id`);
  return hash.digest('hex');
}

/** What can be asked for, aimed at a complete run. */
interface Target {
  readonly shell: Shell;
  readonly client: SftpClient;
  readonly run: string;
  readonly file: Buffer;
}

const bytes = (text: string) => Buffer.from(text);
const NO_HANDLE = { bytes: bytes('12345678'), path: bytes('none') };
const FLAGS = [OPEN.READ, OPEN.WRITE, OPEN.APPEND, OPEN.CREATE, OPEN.TRUNCATE, OPEN.EXCLUSIVE];
const ATTRIBUTES = { sizeBytes: 0, permissions: 0o777, uid: 0, gid: 0, atimeS: 1, mtimeS: 1 };

/** One request of each kind; the type has a row for each that the table has. */
const REQUESTS: Record<Operation, (target: Target) => Promise<unknown>> = {
  realpath: ({ client, file }) => client.realpath(file),
  limits: ({ client }) => client.limits(),
  statvfs: ({ client, file }) => client.statvfs(file),
  fstatvfs: ({ client }) => client.extended('fstatvfs@openssh.com', string(NO_HANDLE.bytes)),
  lstat: ({ client, file }) => client.lstat(file),
  stat: ({ client, file }) => client.stat(file),
  readlink: ({ client }) => client.readlink(bytes('/latest')),
  opendir: ({ client }) => client.opendir(bytes('/')),
  'open-read': ({ client, file }) => client.open(file, OPEN.READ),
  close: ({ client }) => client.close(NO_HANDLE),
  fstat: ({ client }) => client.fstat(NO_HANDLE),
  readdir: ({ client }) => client.readdir(NO_HANDLE),
  read: ({ client }) => client.read(NO_HANDLE, 0, 10),
  'open-write': ({ client, file }) => client.open(file, OPEN.WRITE),
  write: ({ client }) => client.write(NO_HANDLE, 0, bytes('x')),
  fsync: ({ client }) => client.fsync(NO_HANDLE),
  setstat: ({ client, file }) => client.setstat(file, ATTRIBUTES),
  lsetstat: ({ client, file }) => client.lsetstat(file, ATTRIBUTES),
  fsetstat: ({ client }) => client.fsetstat(NO_HANDLE, ATTRIBUTES),
  mkdir: ({ client, run }) => client.mkdir(bytes(`/${run}/new`)),
  rmdir: ({ client, run }) => client.rmdir(bytes(`/${run}/a`)),
  remove: ({ client, file }) => client.remove(file),
  rename: ({ client, file, run }) => client.rename(file, bytes(`/${run}/b`)),
  'posix-rename': ({ client, file, run }) => client.posixRename(file, bytes(`/${run}/b`)),
  hardlink: ({ client, file, run }) => client.hardlink(file, bytes(`/${run}/b`)),
  symlink: ({ client, run }) => client.symlink(bytes('/etc'), bytes(`/${run}/b`)),
  'copy-data': ({ client }) =>
    client.copyData({ from: NO_HANDLE, fromOffset: 0, length: 0, to: NO_HANDLE, toOffset: 0 }),
  [VERB.hello]: ({ shell }) => shell.hello(),
  [VERB.list]: ({ shell }) => shell.list(),
  [VERB.space]: ({ shell }) => shell.json(VERB.space, {}),
  [VERB.get]: ({ shell, run }) =>
    shell.verb(VERB.get, Buffer.concat([string(`${run}/a/file`), Buffer.of(0, 0, 1, 0)])),
  [VERB.getMany]: ({ shell, run }) =>
    shell.verb(VERB.getMany, Buffer.concat([string(`${run}/a/file`), Buffer.of(0, 0, 1, 0)])),
  [VERB.verdicts]: ({ shell }) => shell.json(VERB.verdicts, {}),
  [VERB.usage]: ({ shell, run }) => shell.json(VERB.usage, { runs: [run] }),
  [VERB.begin]: ({ shell }) => shell.begin(),
  [VERB.tree]: ({ shell }) => shell.tree((script) => script.directory(bytes('x'))),
  [VERB.put]: ({ shell }) => shell.put('x', 'x'),
  [VERB.create]: ({ shell }) => shell.create('y'),
  [VERB.cloneFile]: ({ client, run }) =>
    client.extendedOpen(
      VERB.cloneFile,
      bytes('z'),
      Buffer.concat([string(`${run}/a/file`), string('z'), u64(1)]),
    ),
  [VERB.hole]: ({ shell }) => shell.verb(VERB.hole, Buffer.concat([string(NO_HANDLE.bytes), u64(0), u64(1)])),
  [VERB.restart]: ({ shell }) => shell.verb(VERB.restart, string(NO_HANDLE.bytes)),
  [VERB.discard]: ({ shell }) => shell.verb(VERB.discard, string(NO_HANDLE.bytes)),
  [VERB.finish]: ({ shell }) =>
    shell.verb(VERB.finish, Buffer.concat([string(NO_HANDLE.bytes), u64(0), u64(0), Buffer.of(0)])),
  [VERB.manifest]: ({ shell }) => shell.manifest(bytes('m')),
  [VERB.publish]: ({ shell }) => shell.publish({}, { manifestSha256: '00'.repeat(32) }),
  [VERB.abandon]: ({ shell }) => shell.json(VERB.abandon, {}),
  [VERB.cleanUp]: ({ shell }) => shell.json(VERB.cleanUp, {}),
  [VERB.requestSpace]: ({ shell }) => shell.json(VERB.requestSpace, { bytes: 1 }),
};

/** What a session without a begun run, and without handles, answers: a status, or `served`. */
const SERVED: readonly string[] = ['realpath', 'limits', 'statvfs', VERB.list, VERB.space, VERB.verdicts];
const READING: readonly string[] = [
  'lstat',
  'stat',
  'readlink',
  'opendir',
  'open-read',
  VERB.get,
  VERB.getMany,
  VERB.usage,
];
const ON_HANDLE = ['close', 'fstat', 'fstatvfs', 'readdir', 'read'];
const WRITING: readonly string[] = [
  VERB.tree,
  VERB.put,
  VERB.create,
  VERB.cloneFile,
  VERB.manifest,
  VERB.publish,
  VERB.abandon,
  VERB.cleanUp,
];
const WRITING_ON_HANDLE: readonly string[] = [
  'write',
  'fsync',
  'fsetstat',
  VERB.hole,
  VERB.restart,
  VERB.discard,
  VERB.finish,
];
const CHANGING = [
  ...['open-write', 'setstat', 'lsetstat', 'mkdir', 'rmdir', 'remove', 'rename'],
  ...['posix-rename', 'hardlink', 'symlink', 'copy-data'],
];

function expectation(
  operation: string,
  { role, noRead }: { role: string; noRead: boolean },
): number | 'served' {
  if (SERVED.includes(operation)) return 'served';
  if (operation === VERB.hello) return 5; // it was said already
  if (READING.includes(operation)) return noRead ? 3 : 'served';
  if (ON_HANDLE.includes(operation)) return 5;
  if (role === 'restore') return 3;
  if (CHANGING.includes(operation)) return 12;
  if (WRITING.includes(operation) || WRITING_ON_HANDLE.includes(operation)) return 5;
  return 'served'; // begin, request-space
}

for (const rights of [
  { role: 'backup', noRead: false },
  { role: 'backup', noRead: true },
  { role: 'restore', noRead: false },
] as const) {
  t.test(`each request is served or refused as the table says: ${JSON.stringify(rights)}`, async (t) => {
    using root = temporaryRoot('table');
    const run = await publishRun(root.path, { 'a/file': 'content' });
    const before = fingerprint(root.account);
    await using shell = await Shell.open({ root: root.path, ...rights });
    t.same(Object.keys(REQUESTS).sort(), Object.keys(PERMISSIONS).sort());
    const target = { shell, client: shell.client, run, file: bytes(`/${run}/a/file`) };
    for (const [operation, ask] of Object.entries(REQUESTS)) {
      if (operation === VERB.begin) continue; // last, since it changes what others answer
      t.equal(await outcome(ask(target)), expectation(operation, rights), operation);
    }
    t.equal(fingerprint(root.account), before, 'nothing has changed');
    t.equal(await outcome(REQUESTS[VERB.begin](target)), rights.role === 'restore' ? 3 : 'served', 'begin');
  });
}

t.test(
  'no OPEN writes: every combination of flags on what is there, what is new, and the own run',
  async (t) => {
    using root = temporaryRoot('open');
    const run = await publishRun(root.path, { 'a/file': 'content' });
    await using shell = await Shell.open({ root: root.path });
    const { run: own } = await shell.begin(run);
    await shell.tree((script) => script.keepRest());
    const before = fingerprint(root.account);
    const paths = [
      ...[
        `/${run}/a/file`,
        `/${run}/new`,
        `/${run}.impl`,
        '/latest',
        '/latest/a/file',
        '/.bakker/id',
        '/new',
      ],
      ...[`/${own}.incomplete/a/file`, `/${own}.incomplete/new`, `/.bakker/receipts/${run}.json`],
    ];
    for (let flags = 0; flags < 64; flags++) {
      const mask = FLAGS.reduce((sum, flag, index) => sum | (flags & (1 << index) ? flag : 0), 0);
      if (mask === OPEN.READ) continue;
      for (const path of paths) {
        const status = await outcome(shell.client.open(bytes(path), mask, { permissions: 0o666 }));
        if (status !== 12) t.equal(status, 12, `${path} with ${mask}`);
      }
    }
    t.equal(fingerprint(root.account), before);
  },
);

t.test(
  'a verb that is not known, a request of nobody, and another version are refused politely',
  async (t) => {
    using root = temporaryRoot('unknown');
    await using shell = await Shell.start({ root: root.path });
    t.equal(await outcome(shell.begin()), 5, 'before hello');
    t.equal(await outcome(shell.list()), 5);
    const hello = shell.json(VERB.hello, { versions: [2, 7], program: 'from the future' });
    await t.rejects(hello, { status: 8, message: /version 1/ });
    await shell.hello();
    t.equal(await outcome(shell.verb('put', Buffer.alloc(0))), 8);
    t.equal(await outcome(shell.verb('rm-rf@bakker', Buffer.alloc(0))), 8);
    t.equal(await outcome(shell.verb('users-groups-by-id@openssh.com', Buffer.alloc(8))), 8);
    t.equal(await outcome(shell.verb('__proto__', Buffer.alloc(0))), 8);
    t.equal(await outcome(shell.verb('toString', Buffer.alloc(0))), 8);
  },
);

t.test('a session has so many handles and no more, and those it closes are dead', async (t) => {
  using root = temporaryRoot('handles');
  const run = await publishRun(root.path, { file: 'content' });
  await using shell = await Shell.open({ root: root.path });
  const { client } = shell;
  const handles = await Promise.all(
    Array.from({ length: 1024 }, () => client.open(bytes(`/${run}/file`), OPEN.READ)),
  );
  t.equal(await outcome(client.open(bytes(`/${run}/file`), OPEN.READ)), 4);
  t.equal(await outcome(client.opendir(bytes('/'))), 4);
  const [first] = handles;
  if (first === undefined) throw new Error('no handle');
  const given = new Set(handles.map((handle) => handle.bytes.toString('hex')));
  await client.close(first);
  t.equal(await outcome(client.read(first, 0, 1)), 5);
  const next = await client.open(bytes(`/${run}/file`), OPEN.READ);
  t.notOk(given.has(next.bytes.toString('hex')), 'a number is not given twice');
  t.equal((await client.read(next, 0, 100)).toString(), 'content');
});

async function outcome(request: Promise<unknown>): Promise<number | 'served'> {
  try {
    await request;
    return 'served';
  } catch (error) {
    if (error instanceof SftpStatusError) return error.status;
    throw error;
  }
}
