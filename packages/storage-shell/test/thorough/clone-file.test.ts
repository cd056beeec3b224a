import { VERB } from '@bakker/impl-format';
import { getXattr } from '@bakker/linux';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { Shell, publishRun, statusOf, string, temporaryRoot } from '../session/shell-client.ts';

const DIGEST = 'user.bakker.sha256';
const MIB = 2 ** 20;
const PIECE_BYTES = 200 * 1024;
/** Data, a hole, data, and an end that is no block's. */
const BASE = Buffer.concat([randomBytes(6 * MIB), Buffer.alloc(6 * MIB), randomBytes(6 * MIB + 1000)]);

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** A published run with the file `folder/base`, written as clients write. */
async function publishBase(root: string): Promise<string> {
  await using shell = await Shell.open({ root });
  const { run } = await shell.begin();
  const handle = await shell.create('folder/base');
  for (const [start, end] of [
    [0, 6 * MIB],
    [12 * MIB, BASE.length],
  ] as const) {
    for (let at = start; at < end; at += PIECE_BYTES)
      await shell.write(handle, at, BASE.subarray(at, Math.min(end, at + PIECE_BYTES)));
  }
  await shell.finish(handle, BASE.length);
  await shell.publish({ files: 1, directories: 1, bytes: BASE.length });
  await shell.cleanUp();
  return run;
}

/** What must not change of a file of the past: all but the time of its last reading. */
function printOf(path: string): string {
  const { mode, uid, size, mtimeNs, ctimeNs, nlink, ino, blocks } = lstatSync(path, { bigint: true });
  const attribute = getXattr(Buffer.from(path), DIGEST)?.toString('hex');
  const numbers = [mode, uid, size, mtimeNs, ctimeNs, nlink, ino, blocks].map(String);
  return [...numbers, attribute, sha256(readFileSync(path))].join(' ');
}

function freeBytes(folder: string): number {
  execFileSync('sync', ['-f', folder]);
  const { bfree, bsize } = statfsSync(folder);
  return bfree * bsize;
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  t.test(`on ${type} a file is made from an old one, and only what is written over it is new`, async (t) => {
    await using disk = await mountLoopFilesystem({ type, sizeBytes: 400 * MIB });
    const root = disk.folder;
    const account = `${root}/server1`;
    mkdirSync(account);
    const first = await publishBase(root);
    const before = printOf(`${account}/${first}/folder/base`);
    await using shell = await Shell.open({ root });
    t.equal(shell.client.extensions.get('clone-file@bakker'), '1', 'it is announced');
    const { run, token } = await shell.begin(first);
    const folder = `${account}/${run}.incomplete`;
    const stored = async (name: string, digest: Buffer, expected: Buffer): Promise<void> => {
      const path = `${folder}/${name}`;
      t.equal(sha256(readFileSync(path)), sha256(expected), `${name} is what it should be`);
      t.equal(digest.toString('hex'), sha256(expected), 'its hash is told');
      t.equal(getXattr(Buffer.from(path), DIGEST)?.toString('hex'), sha256(expected), 'and kept');
      t.equal(lstatSync(path).mode & 0o777, 0o400);
      t.equal(lstatSync(path).nlink, 1, 'an inode of its own');
    };

    const free = freeBytes(root);
    const changed = Buffer.from(BASE);
    const handle = await shell.cloneFile(`${first}/folder/base`, 'folder/changed');
    t.equal(lstatSync(`${folder}/folder/changed`).mode & 0o777, 0o600, 'open for writing');
    // Not in order, and one of them twice.
    for (const [at, text] of [
      [0, 'a'],
      [13 * MIB, 'b'],
      [7 * MIB + 5, 'c'],
      [BASE.length - 5, 'and beyond the end'],
      [100, 'd'],
    ] as const) {
      const piece = Buffer.alloc(64 * 1024, text);
      await shell.write(handle, at, piece.subarray(0, Math.min(piece.length, BASE.length + 13 - at)));
      piece.copy(changed, at);
    }
    const grown = Buffer.concat([changed, Buffer.from('d the end'), Buffer.alloc(4)]);
    Buffer.alloc(64 * 1024, 'and beyond the end').copy(grown, BASE.length - 5, 0, 18);
    await stored('folder/changed', await shell.finish(handle, grown.length), grown);
    const taken = lstatSync(`${folder}/folder/changed`).blocks * 512;
    t.ok(taken < 13 * MIB, `the hole stayed one: ${taken}`);
    if (type !== 'ext4') {
      const added = free - freeBytes(root);
      t.ok(added < 5 * 64 * 1024 + MIB, `${added} bytes for 320 KiB that changed`);
    }

    // In order, so that what lies before is hashed meanwhile; holes made; cut, and grown by FSETSTAT and by the end.
    const rising = Buffer.from(BASE);
    const second = await shell.cloneFile(`${first}/folder/base`, 'rising', 17 * MIB + 77);
    const named = { bytes: second, path: Buffer.from('rising') };
    t.equal((await shell.client.fstat(named)).sizeBytes, 17 * MIB + 77);
    for (const at of [0, 0, 1, 5, 5, 9, 13].map((mebibytes) => mebibytes * MIB)) {
      await shell.write(second, at, Buffer.alloc(5000, 'x'));
      rising.fill('x', at, at + 5000);
    }
    await shell.hole(second, 16 * MIB, MIB / 2 + 1);
    await shell.hole(second, 16 * MIB, 0);
    rising.fill(0, 16 * MIB, 16 * MIB + MIB / 2 + 1);
    await shell.client.fsetstat(named, { sizeBytes: 17 * MIB - 10 });
    await shell.client.fsetstat(named, { sizeBytes: 17 * MIB + 10 });
    rising.fill(0, 17 * MIB - 10);
    await stored('rising', await shell.finish(second, 18 * MIB), rising.subarray(0, 18 * MIB));
    t.ok(lstatSync(`${folder}/rising`).blocks * 512 < 12 * MIB, 'holes take no space');

    // Of this run; nothing of it; all of it, and more.
    const none = await shell.cloneFile(`${token}/rising`, 'none', 0);
    await stored('none', await shell.finish(none, 0), Buffer.alloc(0));
    const all = await shell.cloneFile(`${token}/rising`, 'all', 2n ** 53n - 1n);
    await stored('all', await shell.finish(all, 18 * MIB), rising.subarray(0, 18 * MIB));
    // Emptied, it is a file like any other.
    const emptied = await shell.cloneFile(`${first}/folder/base`, 'emptied');
    await shell.verb(VERB.restart, string(emptied));
    await shell.write(emptied, 0, 'anew');
    await stored('emptied', await shell.finish(emptied, 4), Buffer.from('anew'));
    const dropped = await shell.cloneFile(`${first}/folder/base`, 'dropped');
    await shell.verb(VERB.discard, string(dropped));
    const closed = await shell.cloneFile(`${first}/folder/base`, 'closed');
    await shell.client.close({ bytes: closed, path: Buffer.from('closed') });
    t.same(readdirSync(folder).sort(), ['all', 'emptied', 'folder', 'none', 'rising'], 'no others');
    t.equal(printOf(`${account}/${first}/folder/base`), before, 'the old file is as it was');

    const left = await shell.cloneFile(`${first}/folder/base`, 'left');
    await shell.write(left, 0, 'x');
    t.equal(
      await statusOf(shell.publish({}, { manifestSha256: '00'.repeat(32) })),
      5,
      'not published while one is open',
    );
    // The answer to finish is not waited for: publish does that.
    const finished = shell.finish(left, BASE.length);
    const bytes = grown.length + 36 * MIB + 4 + BASE.length;
    await shell.publish({ files: 6, directories: 1, bytes });
    t.equal((await finished).length, 32);
    await shell.cleanUp();
    t.equal(printOf(`${account}/${first}/folder/base`), before);
    t.equal(await shell.end(), 0);
  });
}

t.test('whatever may not be copied is not, and nothing of it stays', async (t) => {
  using root = temporaryRoot('clone-refused');
  const first = await publishRun(root.path, { 'a/file': 'the past', 'a/hurt': 'hurt', other: 'other' });
  const past = `${root.account}/${first}`;
  const cut = await Shell.open({ root: root.path });
  const begunBefore = await cut.begin();
  await cut.put('whole', 'whole');
  const half = await cut.create('half');
  await cut.write(half, 0, 'half');
  cut.child.kill('SIGKILL');
  await cut.end();
  symlinkSync('file', `${past}/a/symlink`);
  symlinkSync('a', `${past}/folder-symlink`);
  execFileSync('mkfifo', [`${past}/a/fifo`]);
  const { ino } = lstatSync(`${past}/a/hurt`);
  writeFileSync(
    `${root.account}/.bakker/hurt.json`,
    JSON.stringify({
      version: 1,
      at: 1,
      manifests: [],
      files: [{ inode: ino, sha256: 'ab'.repeat(32), found: null, names: [{ run: first, path: 'a/hurt' }] }],
    }),
  );
  const outside = `${root.path}/server2`;
  mkdirSync(outside);
  writeFileSync(`${outside}/file`, 'another account');

  await using shell = await Shell.open({ root: root.path });
  t.equal(await statusOf(shell.cloneFile(`${first}/a/file`, 'x')), 5, 'no run is begun');
  const begun = await shell.begin(first);
  t.equal(begun.hurt.length, 1);
  const [carried] = begun.carried;
  t.equal(carried, begunBefore.token);
  const { token, run } = begun;
  const open = await shell.create('open');
  await shell.write(open, 0, 'open');
  const refused: readonly (readonly [string, number])[] = [
    ...['a', 'a/none', 'a/symlink', 'folder-symlink/file', 'a/fifo', 'a/hurt', 'a/file/x'].map(
      (path) => [`${first}/${path}`, 2] as const,
    ),
    [`${carried}/half`, 2],
    [`${carried}/none`, 2],
    [`${token}/open`, 2],
    [`${run}/open`, 2],
    [`${run}.incomplete/open`, 2],
    [`${'0'.repeat(32)}/whole`, 2],
    ['2099_01_01_01/a/file', 2],
    [`.bakker/id`, 2],
    [`.bakker/carried/${carried}/whole`, 2],
    ['server2/file', 2],
    ['latest/a/file', 2],
    [`${first}.impl`, 2],
    [first, 2],
    ['', 5],
    ['/', 5],
    [`/${first}/a/file`, 5],
    [`${first}/../${first}/a/file`, 5],
    [`../server2/file`, 5],
    [`${first}//a/file`, 5],
    [`${first}/a/file\0`, 5],
  ];
  for (const [source, status] of refused)
    t.equal(await statusOf(shell.cloneFile(source, 'x')), status, source);
  t.equal(await statusOf(shell.cloneFile(`${first}/a/file`, 'open')), 11, 'a taken name');
  for (const path of ['', '/x', '../x', `../${first}/x`, 'a/../x', 'x\0'])
    t.equal(await statusOf(shell.cloneFile(`${first}/a/file`, path)), 5, JSON.stringify(path));
  t.equal(await statusOf(shell.cloneFile(`${first}/a/file`, 'x', 2n ** 60n)), 5, 'no such size');
  t.same(readdirSync(`${root.account}/${run}.incomplete`), ['open'], 'nothing of it stays');

  const good = await shell.cloneFile(`${carried}/whole`, 'good');
  t.equal((await shell.finish(good, 5)).toString('hex'), sha256(Buffer.from('whole')));
  t.equal(await statusOf(shell.client.fsetstat({ bytes: good, path: Buffer.from('') }, { sizeBytes: 0 })), 5);
  const last = await shell.cloneFile(`${first}/a/file`, 'last');
  const named = { bytes: last, path: Buffer.from('last') };
  t.equal(await statusOf(shell.hole(last, 2 ** 52, 2 ** 52)), 5, 'longer than a number can say');
  t.equal(await statusOf(shell.hole(last, 2 ** 51, 2 ** 51)), 4, 'longer than a file can be');
  t.equal(await statusOf(shell.client.fsetstat(named, { permissions: 0o777 })), 5, 'sizes alone are set');
  t.equal(await statusOf(shell.client.fsetstat(named, { sizeBytes: 1, permissions: 0o777 })), 5);
  const reader = await shell.client.open(Buffer.from(`/${first}/a/file`), 1);
  t.equal(await statusOf(shell.client.fsetstat(reader, { sizeBytes: 0 })), 12, 'what is read is the past');
  t.equal(await statusOf(shell.hole(reader.bytes, 0, 1)), 5);
  t.equal(readFileSync(`${past}/a/file`, 'utf8'), 'the past');
});

t.test('what was left by another boot is copied only if its hash says that it is whole', async (t) => {
  using root = temporaryRoot('clone-reboot');
  {
    await using cut = await Shell.open({ root: root.path });
    await cut.begin();
    await cut.put('good', 'good content');
    await cut.put('short', 'short content');
  }
  const [old] = readdirSync(`${root.account}/.bakker`).filter((name) => name.includes('.token-'));
  t.ok(old);
  const [run = '', token = ''] = old?.split('.token-') ?? [];
  const other = '0'.repeat(16) + token.slice(16);
  renameSync(`${root.account}/.bakker/${old}`, `${root.account}/.bakker/${run}.token-${other}`);
  truncateSync(`${root.account}/${run}.incomplete/short`, 5);
  await using shell = await Shell.open({ root: root.path });
  t.same((await shell.begin()).carried, [other]);
  t.equal(await statusOf(shell.cloneFile(`${other}/short`, 'short')), 2);
  const good = await shell.cloneFile(`${other}/good`, 'good');
  t.equal((await shell.finish(good, 12)).toString('hex'), sha256(Buffer.from('good content')));
});

t.test('who may not read is told nothing of what he copied', async (t) => {
  using root = temporaryRoot('clone-no-read');
  const first = await publishRun(root.path, { secret: 'the secret' });
  await using shell = await Shell.open({ root: root.path, noRead: true });
  const { run, token } = await shell.begin(first);
  const guess = async (name: string, act: (handle: Buffer) => Promise<unknown>): Promise<Buffer> => {
    const handle = await shell.cloneFile(`${first}/secret`, name, 1);
    await act(handle);
    return shell.finish(handle, 1);
  };
  t.equal((await guess('a', async () => undefined)).length, 0, 'the hash of one byte is that byte');
  t.equal((await guess('b', (handle) => shell.verb(VERB.restart, string(handle)))).length, 0);
  const handle = await shell.cloneFile(`${first}/secret`, 'c');
  const named = { bytes: handle, path: Buffer.from('c') };
  t.equal(await statusOf(shell.client.fstat(named)), 3, 'nor its size');
  t.equal(await statusOf(shell.client.read(named, 0, 10)), 5);
  for (const path of [`/${run}.incomplete/c`, `/${run}.incomplete/a`]) {
    t.equal(await statusOf(shell.client.open(Buffer.from(path), 1)), 3);
    t.equal(await statusOf(shell.client.stat(Buffer.from(path))), 3);
  }
  t.equal(
    await statusOf(shell.client.copyData({ from: named, fromOffset: 0, length: 0, to: named, toOffset: 0 })),
    12,
  );
  const second = await shell.cloneFile(`${token}/a`, 'd');
  t.equal((await shell.finish(second, 1)).length, 0, 'nor what was copied twice');
  const third = await shell.cloneFile(`${first}/secret`, 'e', 10 ** 15);
  t.equal((await shell.finish(third, 10)).length, 0, 'how much there was is not told either');
  t.equal(
    getXattr(Buffer.from(`${root.account}/${run}.incomplete/e`), DIGEST)?.toString('hex'),
    sha256(Buffer.from('the secret')),
    'the storage keeps it',
  );
});

t.test('no room: refused before, or in the middle, and nothing stays', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 64 * MIB });
  const root = disk.folder;
  mkdirSync(`${root}/server1/.bakker`, { recursive: true });
  const first = await publishBase(root);
  {
    await using shell = await Shell.open({ root });
    const { run } = await shell.begin(first);
    let copies = 0;
    let status: unknown;
    for (; copies < 20 && typeof status !== 'number'; copies++) {
      status = await statusOf(shell.cloneFile(`${first}/folder/base`, `copy-${copies}`));
      if (Buffer.isBuffer(status)) await shell.finish(status, BASE.length);
    }
    copies--;
    t.equal(status, 14);
    t.ok(copies >= 1 && copies < 5, `${copies} copies of 12 MiB in 64 MiB`);
    t.equal(readdirSync(`${root}/server1/${run}.incomplete`).length, copies, 'no half one');
    t.equal(await statusOf(shell.create('too large', 30 * MIB)), 14, 'nor is a large file begun');
    await shell.json(VERB.abandon, {});
  }
  // A limit of the account, though the volume has room.
  writeFileSync(`${root}/server1/.bakker/account.yaml`, 'space:\n  limit: 20M\n');
  await using shell = await Shell.open({ root });
  const { run } = await shell.begin(first);
  t.equal(await statusOf(shell.cloneFile(`${first}/folder/base`, 'x')), 15);
  t.equal(await statusOf(shell.create('too large', 20 * MIB)), 15);
  const small = await shell.cloneFile(`${first}/folder/base`, 'x', 5 * MIB);
  // Writing over it takes nothing more.
  for (let turn = 0; turn < 40; turn++)
    await shell.write(small, (turn % 10) * PIECE_BYTES, BASE.subarray(0, PIECE_BYTES));
  await shell.finish(small, 5 * MIB);
  t.same(readdirSync(`${root}/server1/${run}.incomplete`), ['x']);
  await shell.publish({ files: 1, bytes: 5 * MIB });
  await shell.cleanUp();
  await shell.end();
  const counted = JSON.parse(readFileSync(`${root}/server1/.bakker/usage.json`, 'utf8')).usedBytes;
  const real = Number(
    execFileSync('du', ['-s', '-B1', `${root}/server1`])
      .toString()
      .split('\t')[0],
  );
  t.ok(Math.abs(counted - real) < 64 * 1024, `${counted} counted, ${real} taken`);
});

t.test(
  'a long copy and a long hash let others be served, and a kill leaves nothing that seems whole',
  async (t) => {
    await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 700 * MIB });
    const root = disk.folder;
    mkdirSync(`${root}/server1`);
    const first = await publishRun(root, { small: 'small' });
    const large = `${root}/server1/${first}/large`;
    execFileSync('fallocate', ['-l', '160M', large]);
    execFileSync('sh', ['-c', `head -c 160M /dev/zero | tr '\\0' x > ${large}`]);
    chmodSync(large, 0o400);
    const shell = await Shell.open({ root });
    const { run } = await shell.begin(first);
    const order: string[] = [];
    const copying = shell.cloneFile(`${first}/large`, 'large').then((handle) => {
      order.push('copied');
      return handle;
    });
    await shell.put('meanwhile', 'meanwhile').then(() => order.push('put'));
    const handle = await copying;
    const hashing = shell.finish(handle, 160 * MIB).then(() => order.push('hashed'));
    await shell.put('later', 'later').then(() => order.push('put'));
    await hashing;
    t.same(order, ['put', 'copied', 'put', 'hashed']);
    const dying = shell.cloneFile(`${first}/large`, 'dying').catch(() => undefined);
    const path = `${root}/server1/${run}.incomplete/dying`;
    while (!existsSync(path) || lstatSync(path).blocks === 0)
      await new Promise((resolve) => setImmediate(resolve));
    shell.child.kill('SIGKILL');
    await dying;
    await shell.end();
    await checkDying(t, root);
  },
);

async function checkDying(t: Test, root: string): Promise<void> {
  await using next = await Shell.open({ root });
  const { carried } = await next.begin();
  const [token = ''] = carried;
  t.equal(await statusOf(next.cloneFile(`${token}/dying`, 'dying')), 2, 'not finished');
  const failed = await next.tree((script) => script.link(Buffer.from('dying'), token, Buffer.from('dying')));
  t.equal(failed.length, 1, 'nor is it linked');
  const taken = await next.tree((script) => script.link(Buffer.from('large'), token, Buffer.from('large')));
  t.same(taken, [], 'what was finished is');
  await next.publish({ files: 1, bytes: 160 * MIB });
  await next.cleanUp();
}

t.test('whatever is written in whatever order, the hash is that of what lies there', async (t) => {
  using root = temporaryRoot('clone-random');
  await writeAtRandom(t, root.path);
});

t.test(
  'the same where a clone shares its blocks, and what was not written is read of the older file',
  async (t) => {
    await using disk = await mountLoopFilesystem({
      type: 'xfs',
      sizeBytes: 512e6,
      mkfsArgs: ['-m', 'reflink=1'],
    });
    mkdirSync(`${disk.folder}/server1`, { mode: 0o700 });
    await writeAtRandom(t, disk.folder);
  },
);

async function writeAtRandom(t: Test, root: string): Promise<void> {
  const account = `${root}/server1`;
  const first = await publishRun(root, { base: '' });
  const base = randomBytes(700_001);
  truncateSync(`${account}/${first}/base`, 0);
  chmodSync(`${account}/${first}/base`, 0o600);
  writeFileSync(`${account}/${first}/base`, base);
  await using shell = await Shell.open({ root });
  const { run } = await shell.begin();
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  for (let file = 0; file < 60; file++) {
    const isClone = file % 4 !== 0;
    // then a thread hashes behind the writer
    const isRising = file % 2 === 0 || file % 5 === 0;
    let risenBytes = 0;
    const handle = isClone
      ? await shell.cloneFile(`${first}/base`, `f${file}`)
      : await shell.create(`f${file}`);
    const model = Buffer.alloc(2_000_000);
    let size = isClone ? base.copy(model) : 0;
    const told: string[] = [];
    for (let step = random(8); step >= 0; step--) {
      const anywhere = random(4) === 0 ? size : random(900_000);
      const at = isRising ? risenBytes + random(120_000) : anywhere;
      risenBytes = at;
      const length = random(4) === 0 ? 0 : random(90_000);
      const kind = random(9);
      told.push(`${kind} ${at} ${length}`);
      if (kind === 0) {
        await shell.hole(handle, at, length);
        model.fill(0, at, at + length);
        if (length > 0) size = Math.max(size, at + length);
      } else if (kind === 1) {
        await shell.client.fsetstat({ bytes: handle, path: Buffer.from('x') }, { sizeBytes: at });
        model.fill(0, at);
        size = at;
      } else if (kind === 2 && random(4) === 0) {
        await shell.verb(VERB.restart, string(handle));
        model.fill(0);
        size = 0;
      } else {
        const piece = Buffer.alloc(length, `${file} ${step} `);
        await shell.write(handle, at, piece);
        piece.copy(model, at);
        if (length > 0) size = Math.max(size, at + length);
      }
    }
    const sizeBytes = random(2) === 0 ? size : random(1_000_000);
    model.fill(0, Math.min(size, sizeBytes));
    const expected = sha256(model.subarray(0, sizeBytes));
    const digest = (await shell.finish(handle, sizeBytes)).toString('hex');
    if (digest !== expected) t.fail(`another hash after ${told.join(', ')}, ${sizeBytes}`);
    if (sha256(readFileSync(`${account}/${run}.incomplete/f${file}`)) !== expected)
      t.fail(`another content after ${told.join(', ')}, ${sizeBytes}`);
  }
  t.pass('60 files');
}
