import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeSealedWorld, type SealedWorld } from '../harness/sealed-world.ts';
import { forcedCommand } from '../harness/shell-account.ts';

const SFTP_SERVER = '/usr/lib/openssh/sftp-server';
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** Nobody else's, and no other file's time: wherever they show, it is a leak. */
const OWNER = 3_141_592_653;
const MTIME_S = 987_654_321;

/** What no byte outside of the server may tell, by what it is. */
type Secrets = ReadonlyMap<string, Buffer>;

for (const kind of ['plain', 'shell', 'local'] as const) {
  t.test(
    `neither ${kind} storage nor the line to it learn a content, a name, an owner or a hash`,
    async (t) => {
      await using world = await makeSealedWorld({ kind, hideNames: true });
      const record = kind === 'local' ? undefined : await recordLine(world, kind);
      const secrets = makeSecrets(world);
      await world.backup();
      change(world.source);
      const second = await world.backup();
      t.match(second, { status: 'complete', files: { changed: 1, moved: 2 } });
      await beKilled(world);
      addHashes(secrets, world.source);

      const seen = stored(world.storage);
      t.ok(seen.length > 10, `${seen.length} things to look at`);
      if (record !== undefined) {
        const line = recorded(record);
        t.ok(
          line.some(({ bytes }) => bytes.length > 100_000),
          'the line was recorded',
        );
        seen.push(...line);
      }
      const leaks = seen.flatMap(({ where, bytes }) => leaksIn(where, bytes, secrets));
      t.same(leaks, []);
    },
  );
  if (kind === 'local') continue;

  t.test(`the same look finds everything where ${kind} storage is not sealed`, async (t) => {
    await using world = await makeSealedWorld({ kind, hideNames: true });
    await world.configure({ encrypt: false });
    const record = await recordLine(world, kind);
    const secrets = makeSecrets(world);
    await world.backup();
    const found = (places: readonly Seen[]) => {
      const all = places.flatMap(({ where, bytes }) => leaksIn(where, bytes, secrets));
      return new Set(all.map((leak) => leak.split(' in ')[0] ?? ''));
    };
    for (const what of [
      'a content',
      'a large content',
      'a name',
      'a folder',
      'a target',
      'an attribute',
      'an owner',
      'a time',
    ])
      for (const [place, seen] of [
        ['the storage', stored(world.storage)],
        ['the line', recorded(record)],
      ] as const)
        t.ok(
          [...found(seen)].some((leak) => leak.startsWith(what)),
          `${what} in ${place}`,
        );
  });
}

interface Seen {
  readonly where: string;
  readonly bytes: Buffer;
}

function makeSecrets({ source }: SealedWorld): Map<string, Buffer> {
  mkdirSync(`${source}/Secret Folder Name`);
  const markers = new Map([
    ['a content', 'PLAINTEXT-MARKER-OF-A-SMALL-FILE'],
    ['a large content', 'PLAINTEXT-MARKER-OF-A-LARGE-FILE'],
    ['a name', 'secret file name'],
    ['a folder', 'Secret Folder Name'],
    ['a target', 'where-the-secret-symlink-leads'],
    ['an attribute', 'secret-attribute-value'],
    ['the source', source],
    ['an owner', String(OWNER)],
    ['a time', String(MTIME_S)],
  ]);
  const folder = `${source}/Secret Folder Name`;
  writeFileSync(`${folder}/secret file name`, `${markers.get('a content')}\n`);
  writeFileSync(`${folder}/secret file name, compressed`, `${markers.get('a content')}\n`.repeat(2000));
  writeFileSync(`${folder}/secret file name, medium`, `${markers.get('a large content')}\n`.repeat(30_000));
  writeFileSync(`${folder}/secret file name, large`, `${markers.get('a large content')}\n`.repeat(300_000));
  symlinkSync('where-the-secret-symlink-leads', `${folder}/secret file name, symlink`);
  spawnSync('setfattr', ['-n', 'user.note', '-v', 'secret-attribute-value', `${folder}/secret file name`]);
  for (const name of readdirSync(folder)) chownIfFile(`${folder}/${name}`);
  chmodSync(`${folder}/secret file name`, 0o4751);
  utimesSync(`${folder}/secret file name`, MTIME_S, MTIME_S);
  const times = Buffer.alloc(8);
  times.writeBigInt64BE(BigInt(MTIME_S) * 1_000_000_000n);
  return new Map([
    ...[...markers].map(([what, text]) => [what, Buffer.from(text)] as const),
    ['a time in nanoseconds', times],
  ]);
}

function chownIfFile(file: string): void {
  if (!lstatSync(file).isSymbolicLink()) chownSync(file, OWNER, OWNER);
}

function change(source: string): void {
  renameSync(`${source}/Secret Folder Name/secret file name, medium`, `${source}/secret file name moved`);
  renameSync(
    `${source}/Secret Folder Name/secret file name, compressed`,
    `${source}/secret file name moved too`,
  );
  appendFileSync(
    `${source}/Secret Folder Name/secret file name`,
    'PLAINTEXT-MARKER-OF-A-SMALL-FILE, changed',
  );
}

/** What a run that dies leaves is no more readable. */
async function beKilled({ bakker, source, storage }: SealedWorld): Promise<void> {
  for (let index = 0; index < 100; index += 1)
    writeFileSync(
      `${source}/secret file name ${index}`,
      `PLAINTEXT-MARKER-OF-A-SMALL-FILE ${index}`.repeat(3000),
    );
  const running = bakker.start(['backup', '--json']);
  const isUnderWay = (): boolean => readdirSync(storage).some((name) => name.endsWith('.incomplete'));
  while (!isUnderWay() && running.process.exitCode === null) await delay(1);
  running.process.kill('SIGKILL');
  await running.finished;
}

function addHashes(secrets: Map<string, Buffer>, source: string): void {
  for (const file of everyFile(source)) {
    const content = readFileSync(file);
    secrets.set(`SHA-256 of ${file.slice(source.length)}`, createHash('sha256').update(content).digest());
  }
}

/** In the clear, as hexadecimal digits and as base64, at each of its three places. */
function leaksIn(where: string, bytes: Buffer, secrets: Secrets): string[] {
  const leaks: string[] = [];
  for (const [what, secret] of secrets) {
    const forms = [secret, Buffer.from(secret.toString('hex')), ...base64Forms(secret)];
    const found = forms.findIndex((form) => bytes.includes(form));
    if (found >= 0) leaks.push(`${what}, form ${found}, in ${where}`);
  }
  return leaks;
}

function base64Forms(secret: Buffer): Buffer[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), secret]).toString('base64');
    const start = shift === 0 ? 0 : shift + 1;
    return Buffer.from(text.slice(start, Math.floor(((secret.length + shift) * 8) / 6) - 1));
  });
}

/** All that lies in the account: names, targets of links, attributes, bytes, and what is compressed without a key. */
function stored(folder: string): Seen[] {
  const listing = spawnSync('find', [folder, '-printf', '%P\\n%l\\n%U %G %m %T@\\n']).stdout;
  const attributes = spawnSync('getfattr', ['-R', '-P', '-d', '-m', '-', '-e', 'text', folder]).stdout;
  return [
    { where: 'the names', bytes: listing },
    { where: 'the attributes', bytes: attributes },
    ...everyFile(folder).flatMap((file) => withUnpacked(file, readFileSync(file))),
  ];
}

function everyFile(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
}

function recorded(folder: string): Seen[] {
  return readdirSync(folder).flatMap((name) =>
    withUnpacked(`the line, ${name}`, readFileSync(`${folder}/${name}`)),
  );
}

/** The bytes, and what every zstd frame in them holds. */
function withUnpacked(where: string, bytes: Buffer): Seen[] {
  const seen: Seen[] = [{ where, bytes }];
  for (let at = bytes.indexOf(ZSTD_MAGIC); at >= 0; at = bytes.indexOf(ZSTD_MAGIC, at + 1)) {
    const input = bytes.subarray(at, at + 4 * 1024 * 1024);
    const { stdout } = spawnSync('zstd', ['-dcq'], { input, maxBuffer: 1 << 28 });
    if (stdout.length > 0) seen.push({ where: `${where}, unpacked at ${at}`, bytes: stdout });
  }
  return seen;
}

/** Has all that crosses the line, inside of SSH, written down. @returns the folder with it */
async function recordLine(world: SealedWorld, kind: 'plain' | 'shell'): Promise<string> {
  const { account } = world;
  if (account === undefined) throw new Error('no account');
  const folder = `${world.bakker.folder}/recorded`;
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const server = kind === 'shell' ? forcedCommand(account.folder).join(' ') : SFTP_SERVER;
  const script = `${world.bakker.folder}/record`;
  writeFileSync(
    script,
    `#!/bin/sh\numask 022\ntee "${folder}/in.$$" | ${server} | tee "${folder}/out.$$"\n`,
    { mode: 0o755 },
  );
  const publicKey = readFileSync(`${account.identityFile}.pub`, 'utf8').trim();
  await account.authorise([`restrict,command="${script}" ${publicKey}`]);
  return folder;
}
