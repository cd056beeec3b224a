import { VERB } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { getXattr } from '@bakker/linux';
import { Shell, publishRun, statusOf, string, temporaryRoot, u32 } from './shell-client.ts';

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest();

t.test('a run is written, published and lies on the disk as on plain storage', async (t) => {
  using root = temporaryRoot('publish');
  await using shell = await Shell.start({ root: root.path });
  const hello = await shell.hello();
  t.match(hello, { version: 1, account: 'server1', role: 'backup', mayRead: true, frozen: null });
  t.equal(readFileSync(`${root.account}/.bakker/id`, 'latin1').trim(), hello.identity);
  const begun = await shell.begin();
  t.match(begun.run, /^\d{4}_\d\d_\d\d_01$/);
  t.same(
    readdirSync(`${root.account}/.bakker`).sort(),
    ['id', 'lock', 'receipts', `${begun.run}.token-${begun.token}`, 'trash'].sort(),
  );
  const mtimeNs = 1_700_000_000_123_456_789n;
  t.same(await shell.put('etc/fstab', 'none', { mtimeNs, flags: 2 }), sha256('none'));
  t.same(await shell.put('etc/run', 'x', { flags: 1 }), sha256('x'));
  t.same(await shell.put('top', ''), sha256(''));
  const handle = await shell.create('var/big', 12);
  const sftp = { bytes: handle, path: Buffer.from('big') };
  await shell.client.write(sftp, 0, Buffer.from('one'));
  await shell.client.write(sftp, 1_000_000, Buffer.from('two'));
  const big = Buffer.alloc(1_200_000);
  big.write('one');
  big.write('two', 1_000_000);
  t.same(await shell.finish(handle, big.length, { mtimeNs: -1n }), sha256(big));
  t.same(
    await shell.tree((script) => {
      script.directory(Buffer.from('empty'));
      script.symlink(Buffer.from('link'), Buffer.from('/etc/fstab'));
      script.link(Buffer.from('twin'), begun.token, Buffer.from('etc/fstab'));
      script.link(Buffer.from('none'), begun.token, Buffer.from('etc/none'));
    }),
    [{ operation: 3, reason: 'absent' }],
  );
  const published = await shell.publish({
    files: 5,
    directories: 3,
    symlinks: 1,
    bytes: big.length + 4 + 1 + 4,
  });
  t.equal(published.run, begun.run);
  t.equal(published.frozen, null);
  const run = `${root.account}/${begun.run}`;
  t.equal(readlinkSync(`${root.account}/latest`), begun.run);
  t.equal(
    sha256(readFileSync(`${run}.impl`)).toString('hex'),
    published.manifestSha256,
    'the manifest is beside it',
  );
  const stat = lstatSync(`${run}/etc/fstab`, { bigint: true });
  t.equal(stat.mtimeNs, mtimeNs);
  t.equal(Number(stat.mode) & 0o7777, 0o400);
  t.equal(stat.nlink, 2n);
  t.equal(lstatSync(`${run}/etc/run`).mode & 0o7777, 0o500);
  t.equal(lstatSync(`${run}/etc`).mode & 0o7777, 0o700);
  t.equal(lstatSync(`${run}.impl`).mode & 0o7777, 0o400);
  t.equal(readlinkSync(`${run}/link`), '/etc/fstab');
  t.same(readFileSync(`${run}/var/big`), big);
  t.ok(lstatSync(`${run}/var/big`).blocks * 512 < 100_000, 'a gap is a hole');
  t.same(getXattr(Buffer.from(`${run}/var/big`), 'user.bakker.sha256'), sha256(big));
  t.same(getXattr(Buffer.from(`${run}/etc/fstab`), 'user.bakker.sha256'), sha256('none'));
  const receipt = JSON.parse(readFileSync(`${root.account}/.bakker/receipts/${begun.run}.json`, 'utf8'));
  t.match(receipt, {
    run: begun.run,
    token: begun.token,
    status: 'complete',
    receivedAtMs: published.receivedAtMs,
    manifestSha256: published.manifestSha256,
  });
  t.same(
    readdirSync(`${root.account}/.bakker`).sort(),
    ['id', 'lock', 'receipts', 'trash'],
    'nothing else is left',
  );
  await shell.cleanUp();
  t.equal(await shell.end(), 0);
});

t.test('an unchanged run costs one verb, and shares every file', async (t) => {
  using root = temporaryRoot('unchanged');
  const first = await publishRun(root.path, { 'a/one': '1', 'a/b/two': '22', three: '333' });
  await using shell = await Shell.open({ root: root.path });
  const begun = await shell.begin(first);
  t.equal(
    begun.parent?.manifestSha256,
    sha256(readFileSync(`${root.account}/${first}.impl`)).toString('hex'),
  );
  await shell.tree((script) => script.keepRest());
  await shell.publish({ files: 3, directories: 2, bytes: 6 });
  for (const path of ['a/one', 'a/b/two', 'three'])
    t.equal(lstatSync(`${root.account}/${begun.run}/${path}`).nlink, 2, path);
  t.equal(readlinkSync(`${root.account}/latest`), begun.run);
  t.same(
    (await shell.list({ receipts: true })).runs.map(({ run, state }) => [run, state]),
    [
      [first, 'complete'],
      [begun.run, 'complete'],
    ],
  );
  t.same(
    (await shell.list({ after: first })).runs.map(({ run }) => run),
    [begun.run],
  );
});

t.test(
  'counts that differ, a manifest that differs and unfinished uploads stop a publish, and can be mended',
  async (t) => {
    using root = temporaryRoot('refused');
    await using shell = await Shell.open({ root: root.path });
    const { run } = await shell.begin();
    await shell.put('file', 'content');
    t.equal(await statusOf(shell.publish({ files: 2, bytes: 7 })), 1002);
    t.equal(await statusOf(shell.publish({ files: 1, bytes: 6 }, { manifestSha256: null })), 1002);
    for (const more of [{ directories: 1 }, { symlinks: 1 }])
      t.equal(await statusOf(shell.publish({ files: 1, bytes: 7, ...more }, { manifestSha256: null })), 1002);
    t.equal(await statusOf(shell.publish({ files: 1, bytes: 7 }, { manifestSha256: '00'.repeat(32) })), 1003);
    const handle = await shell.create('other');
    t.equal(await statusOf(shell.publish({ files: 1, bytes: 7 }, { manifestSha256: '00'.repeat(32) })), 5);
    await shell.verb(VERB.discard, Buffer.concat([Buffer.of(0, 0, 0, 8), handle]));
    t.notOk(existsSync(`${root.account}/${run}`));
    const bytes = Buffer.from('a manifest');
    const manifestSha256 = await shell.manifest(bytes, { startOver: true });
    t.equal(
      (await shell.publish({ files: 1, bytes: 7 }, { manifestSha256 })).manifestSizeBytes,
      bytes.length,
    );
    t.equal(readFileSync(`${root.account}/${run}.impl`, 'utf8'), 'a manifest');
  },
);

t.test(
  'what a parent has is counted anew where this program did not count it, or its note makes no sense',
  async (t) => {
    using root = temporaryRoot('counted');
    const first = await publishRun(root.path, { a: 'abc', b: 'defg' });
    const note = `${root.account}/.bakker/receipts/${first}.json`;
    const receipt = JSON.parse(readFileSync(note, 'utf8')) as { objects: object };
    const { objects } = receipt;
    for (const change of [
      { receivedAtMs: undefined, objects: { ...objects, bytes: 999 } }, // as a server writes it over plain SFTP
      { objects: { ...objects, bytes: -5 } },
      { objects: { ...objects, files: '2', bytes: 999 } },
      { objects: null },
      { run: '2001_01_01_01', objects: { ...objects, bytes: 999 } },
    ]) {
      writeFileSync(note, JSON.stringify({ ...receipt, ...change }));
      await using shell = await Shell.open({ root: root.path });
      await shell.begin(first);
      await shell.tree((script) => script.keepRest());
      t.match(await shell.publish({ files: 2, bytes: 7 }), { frozen: null }, JSON.stringify(change));
      await shell.cleanUp();
    }
  },
);

t.test('a file is refused where a name is taken, or a symlink of the run stands in the way', async (t) => {
  using root = temporaryRoot('taken');
  await using shell = await Shell.open({ root: root.path });
  const { run } = await shell.begin();
  await shell.put('a/file', 'one');
  t.equal(await statusOf(shell.put('a/file', 'two')), 11);
  t.equal(await statusOf(shell.create('a/file')), 11);
  t.equal(await statusOf(shell.put('a/file/below', 'two')), 11);
  t.equal(await statusOf(shell.put('a', 'two')), 11);
  await shell.tree((script) => {
    script.symlink(Buffer.from('out'), Buffer.from('/tmp'));
    script.symlink(Buffer.from('in'), Buffer.from('a'));
  });
  for (const way of ['out/stolen', 'in/stolen', 'out', 'in'])
    t.equal(await statusOf(shell.put(way, 'x')), 11, way);
  for (const way of ['../x', '/x', 'a/../x', './x', 'a//x', '', 'a/', 'x\0y'])
    t.equal(await statusOf(shell.put(way, 'x')), 5, JSON.stringify(way));
  t.notOk(existsSync('/tmp/stolen'));
  t.same(readdirSync(`${root.account}/${run}.incomplete`).sort(), ['a', 'in', 'out']);
  t.same(readdirSync(`${root.account}/${run}.incomplete/a`), ['file']);
  t.equal(readFileSync(`${root.account}/${run}.incomplete/a/file`, 'utf8'), 'one');
});

t.test('writes that go back, overlap, or are started over are hashed as they lie', async (t) => {
  using root = temporaryRoot('writes');
  await using shell = await Shell.open({ root: root.path });
  await shell.begin();
  const at = (handle: Buffer) => ({ bytes: handle, path: Buffer.from('x') });
  const one = await shell.create('one');
  await shell.client.write(at(one), 5, Buffer.from('world'));
  await shell.client.write(at(one), 0, Buffer.from('hello'));
  t.same(await shell.finish(one, 10), sha256('helloworld'));
  const two = await shell.create('two');
  await shell.client.write(at(two), 0, Buffer.from('helloworld'));
  t.same(await shell.finish(two, 5), sha256('hello'), 'shorter than what was written');
  const three = await shell.create('three');
  await shell.client.write(at(three), 0, Buffer.from('wrong and long'));
  await shell.verb(VERB.restart, Buffer.concat([Buffer.of(0, 0, 0, 8), three]));
  await shell.client.write(at(three), 0, Buffer.from('right'));
  t.same(await shell.finish(three, 5), sha256('right'));
  const four = await shell.create('four');
  await shell.client.write(at(four), 40_000_000, Buffer.from('end'));
  const far = Buffer.alloc(40_000_003);
  far.write('end', 40_000_000);
  t.same(await shell.finish(four, far.length), sha256(far), 'a hole too large to be hashed at once');
  t.equal(
    await statusOf(shell.client.write(at(four), 0, Buffer.from('late'))),
    5,
    'a finished file has no handle',
  );
  await shell.publish({ files: 4, bytes: 10 + 5 + 5 + far.length });
  t.equal(await statusOf(shell.client.write(at(one), 0, Buffer.from('late'))), 5);
  t.equal(await statusOf(shell.put('late', 'x')), 5);
  t.equal(await statusOf(shell.tree((script) => script.directory(Buffer.from('late')))), 5);
});

t.test('what a session that ended left is carried over and can be linked; then it goes', async (t) => {
  using root = temporaryRoot('carried');
  const first = await Shell.open({ root: root.path });
  const begun = await first.begin();
  await first.put('deep/file', 'carried');
  const lasting = await first.create('half');
  await first.client.write({ bytes: lasting, path: Buffer.from('half') }, 0, Buffer.from('x'));
  t.equal(await first.end(), 0);
  await using second = await Shell.open({ root: root.path });
  const again = await second.begin();
  t.same(again.carried, [begun.token]);
  t.equal(again.run, begun.run, 'the name is free again');
  t.not(again.token, begun.token);
  t.same(
    await second.tree((script) =>
      script.link(Buffer.from('new/name'), begun.token, Buffer.from('deep/file')),
    ),
    [],
  );
  await second.publish({ files: 1, directories: 1, bytes: 7 });
  t.equal(readFileSync(`${root.account}/${again.run}/new/name`, 'utf8'), 'carried');
  t.ok(existsSync(`${root.account}/.bakker/carried/${begun.token}`));
  await second.cleanUp();
  t.same(readdirSync(`${root.account}/.bakker/carried`), []);
});

t.test('a run that is given up goes, and lets the next one begin', async (t) => {
  using root = temporaryRoot('abandon');
  await using shell = await Shell.open({ root: root.path });
  await shell.begin();
  await shell.put('a/b/c', 'x');
  t.equal(await statusOf(shell.publish({ files: 9 })), 1002);
  t.equal(await statusOf(shell.manifest(Buffer.from('more'))), 5, 'it was whole');
  await shell.create('half');
  await shell.json(VERB.abandon, {});
  t.same(readdirSync(root.account), ['.bakker']);
  t.same(readdirSync(`${root.account}/.bakker`).sort(), ['id', 'lock', 'receipts', 'trash']);
  t.same(readdirSync(`${root.account}/.bakker/trash`), []);
  await shell.begin();
  await shell.put('a/b/c', 'x');
  await shell.publish({ files: 1, directories: 2, bytes: 1 });
});

t.test(
  'one session writes to an account; another waits its turn, and gets it when the first is killed',
  async (t) => {
    using root = temporaryRoot('lock');
    const first = await Shell.open({ root: root.path });
    await first.begin();
    await using second = await Shell.open({ root: root.path });
    t.equal(await statusOf(second.begin()), 17);
    t.same((await second.list()).runs.length, 1, 'it may look');
    first.child.kill('SIGKILL');
    await first.client.end();
    for (let attempt = 0; first.child.signalCode === null && attempt < 1000; attempt++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    t.equal((await second.begin()).carried.length, 1);
  },
);

t.test('a parent that is not there, or has no manifest, is refused, and nothing stays locked', async (t) => {
  using root = temporaryRoot('parent');
  const run = await publishRun(root.path, { a: 'x' });
  await using shell = await Shell.open({ root: root.path });
  t.equal(await statusOf(shell.begin('2001_01_01_01')), 1001);
  t.equal(await statusOf(shell.verb(VERB.begin, Buffer.from('nonsense'))), 5);
  t.equal((await shell.begin(run)).parent?.run, run);
});

t.test('the files of one message are stored all or not at all, and counted only then', async (t) => {
  using root = temporaryRoot('put-many');
  await using shell = await Shell.start({ root: root.path });
  await shell.hello();
  const { run } = await shell.begin();
  const folder = `${root.account}/${run}.incomplete`;
  const files = [
    { path: 'a/one', content: 'one', mtimeNs: 1_000_000_007n },
    { path: 'a/two', content: '', flags: 1 },
    { path: 'three', content: Buffer.alloc(100_000, 3) },
    { path: 'b/four', content: 'four' },
  ];
  const digests = await shell.putAll(files);
  t.same(digests, Buffer.concat(files.map(({ content }) => sha256(content))));
  for (const { path, content } of files)
    t.ok(readFileSync(`${folder}/${path}`).equals(Buffer.from(content)), path);
  t.equal(lstatSync(`${folder}/a/one`, { bigint: true }).mtimeNs, 1_000_000_007n);
  t.equal(lstatSync(`${folder}/a/two`).mode & 0o777, 0o500);

  const clash = ['new', 'c/new', 'b/four', 'newer'].map((path) => ({ path, content: path }));
  t.equal(await statusOf(shell.putAll(clash)), 11);
  for (const path of ['new', 'c/new', 'newer']) t.notOk(existsSync(`${folder}/${path}`), path);
  t.equal(readFileSync(`${folder}/b/four`, 'latin1'), 'four', 'what was there stays');
  const twice = ['same', 'same'].map((path) => ({ path, content: 'x' }));
  t.equal(await statusOf(shell.putAll(twice)), 11);
  t.notOk(existsSync(`${folder}/same`));

  const head = Buffer.concat([string('x'), Buffer.alloc(9), u32(3)]);
  for (const [status, why, body] of [
    [5, 'no file', u32(0)],
    [5, 'too many', Buffer.concat([u32(1025), ...Array<Buffer>(1025).fill(Buffer.concat([head]))])],
    [5, 'contents too short', Buffer.concat([u32(1), head, Buffer.from('xx')])],
    [5, 'contents too long', Buffer.concat([u32(1), head, Buffer.from('xxxx')])],
    [5, 'a head that ends early', Buffer.concat([u32(2), head, Buffer.from('xxx')])],
    [5, 'a path that leaves', Buffer.concat([u32(1), string('../x'), Buffer.alloc(9), u32(0)])],
  ] as const) {
    t.equal(await statusOf(shell.verb(VERB.put, body)), status, why);
  }
  t.notOk(existsSync(`${folder}/x`));
  // three folders: `c` was made for a file that is not there
  await shell.publish({ files: 4, directories: 3, symlinks: 0, bytes: 100_007 });
});
