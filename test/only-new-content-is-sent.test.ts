import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { mountLoopFilesystem } from './harness/loop-fs.ts';
import { pseudoRandomBytes, writeSampleTree } from './harness/sample-tree.ts';
import { makeWorld } from './harness/world.ts';

const MIB = 1024 * 1024;

t.test('a folder that was renamed costs no content on the wire', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const totalBytes = writeSampleTree(world.source, { files: 1000, filesPerFolder: 100, maxBytes: 200_000 });
  await world.backup();
  world.proxy?.reset();
  renameSync(`${world.source}/folder 3`, `${world.source}/renamed`);
  const report = await world.backup();
  t.match(report.files, { moved: 100, new: 0, changed: 0, gone: 0, unchanged: 900 });
  t.equal(report.bytes.sent, 0);
  t.ok(
    (world.proxy?.sentBytes() ?? Infinity) < totalBytes / 20,
    `${world.proxy?.sentBytes()} of ${totalBytes} bytes`,
  );
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test(
  'a file that got the inode number, size and time of a deleted one is read, not taken for it',
  async (t) => {
    await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16 * MIB });
    await using world = await makeWorld({ config: { sources: [disk.folder] } });
    const old = `${disk.folder}/old`;
    const fresh = `${disk.folder}/fresh`;
    // As packages and stores have it whose files all carry one date.
    const write = (file: string, content: string): number => {
      writeFileSync(file, content);
      utimesSync(file, 1, 1);
      return statSync(file).ino;
    };
    const given = write(old, 'AAAA');
    await delay(2100); // settled: else it is read because it is new
    await world.backup();
    rmSync(old);
    t.equal(write(fresh, 'BBBB'), given, 'the number is given again, or this shows nothing');
    const report = await world.backup();
    t.match(report.files, { new: 1, moved: 0, gone: 1 });
    await world.expect(['restore', '--to', `${world.bakker.folder}/out`]);
    t.equal(readFileSync(`${world.bakker.folder}/out${fresh}`, 'utf8'), 'BBBB');
  },
);

t.test('nor is it where it also got the name, and its owner or mode are others', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16 * MIB });
  await using world = await makeWorld({ config: { sources: [disk.folder] } });
  const file = `${disk.folder}/file`;
  // As an archive is unpacked whose files all carry one date.
  const unpack = (content: string, mode: number): number => {
    rmSync(file, { force: true });
    writeFileSync(file, content);
    chmodSync(file, mode);
    utimesSync(file, 1, 1);
    return statSync(file).ino;
  };
  const given = unpack('version 1', 0o640);
  await delay(2100);
  await world.backup();
  t.equal(unpack('version 2', 0o644), given, 'the number is given again, or this shows nothing');
  t.match((await world.backup()).files, { changed: 1, metadata: 0 });
  await world.expect(['restore', '--to', `${world.bakker.folder}/out`]);
  t.equal(readFileSync(`${world.bakker.folder}/out${file}`, 'utf8'), 'version 2');
});

t.test('a capability that writing took is no reason to leave what was written unread', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16 * MIB });
  await using world = await makeWorld({ config: { sources: [disk.folder] } });
  const file = `${disk.folder}/file`;
  writeFileSync(file, 'version 1');
  execFileSync('setcap', ['cap_net_raw+ep', file]);
  utimesSync(file, 1, 1);
  await delay(2100);
  await world.backup();
  writeFileSync(file, 'version 2', { flag: 'r+' });
  utimesSync(file, 1, 1);
  t.match((await world.backup()).files, { changed: 1, metadata: 0 });
  await world.expect(['restore', '--to', `${world.bakker.folder}/out`]);
  t.equal(readFileSync(`${world.bakker.folder}/out${file}`, 'utf8'), 'version 2');
});

t.test('content that the account holds is not sent again, wherever and however it comes back', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const content = pseudoRandomBytes('once', 3 * MIB);
  const small = pseudoRandomBytes('small', 20_000);
  mkdirSync(`${world.source}/twins`);
  for (let index = 0; index < 10; index += 1) {
    writeFileSync(`${world.source}/twins/large ${index}`, content);
    writeFileSync(`${world.source}/twins/small ${index}`, small);
  }
  const first = await world.backup();
  t.ok(first.bytes.sent <= 3 * MIB + 20_000, `${first.bytes.sent} bytes of content sent in the first run`);
  t.ok((world.proxy?.sentBytes() ?? Infinity) < 4 * MIB, 'within a run');

  world.proxy?.reset();
  writeFileSync(`${world.source}/copied later`, content);
  t.equal((await world.backup()).bytes.sent, 0, 'from the run before');

  rmSync(`${world.source}/twins`, { recursive: true });
  rmSync(`${world.source}/copied later`);
  writeFileSync(`${world.source}/other`, 'other');
  await world.backup();
  world.proxy?.reset();
  writeFileSync(`${world.source}/came back`, content);
  t.equal((await world.backup()).bytes.sent, 0, 'from a run before that');
  t.ok((world.proxy?.sentBytes() ?? Infinity) < MIB);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('metadata alone is never a reason to send content', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 20 });
  await world.backup();
  chmodSync(`${world.source}/folder 0/file 1`, 0o4711);
  execFileSync('setfacl', ['-m', 'u:daemon:r', `${world.source}/folder 0/file 2`]);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'x', `${world.source}/folder 0/file 3`]);
  execFileSync('chown', ['daemon', `${world.source}/folder 0/file 4`]);
  const report = await world.backup();
  t.match(report.files, { metadata: 4, changed: 0, new: 0 });
  t.equal(report.bytes.sent, 0);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('a touched file of the same content is not sent again either', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 20 });
  await world.backup();
  utimesSync(`${world.source}/folder 0/file 1`, 1000, 2000);
  const report = await world.backup();
  t.equal(report.bytes.sent, 0);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('--checksum finds what hides behind unchanged size and times', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  const disguised = `${world.source}/folder 0/file 1`;
  const { size } = statSync(disguised);
  await world.backup();
  // Even the change time is put back: only the clock of the machine could tell, and it is set back too.
  const disguise = `touch -r "$1" "$1.ref"; head -c ${size} /dev/zero > "$1"; touch -r "$1.ref" "$1"; rm "$1.ref"`;
  execFileSync('sh', ['-c', disguise, 'sh', disguised]);
  const report = await world.backup(['--checksum']);
  t.match(report.files, { changed: 1 });
  t.same(await compareTrees(world.source, await world.restore()), []);
  const again = await world.backup(['--checksum']);
  t.equal(again.files.changed, 0);
  t.equal(again.files.unchanged, again.files.total);
});

t.test('--checksum sends a large file with two names once, and both are one file there', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const [name, other] = [`${world.source}/a`, `${world.source}/b`];
  const sizeBytes = 9 * MIB;
  writeFileSync(name, pseudoRandomBytes('two names', sizeBytes));
  linkSync(name, other);
  t.match((await world.backup(['--checksum'])).bytes, { sent: sizeBytes });
  t.equal((await world.verify(['--data'])).runs.length, 1);
  writeFileSync(name, pseudoRandomBytes('other content', sizeBytes));
  t.match((await world.backup(['--checksum'])).bytes, { sent: sizeBytes });
  t.match(await world.backup(['--checksum']), { files: { unchanged: 2 }, bytes: { sent: 0 } });
  t.equal((await world.verify(['--data'])).runs.length, 3);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

for (const kind of ['plain', 'shell', 'local'] as const) {
  t.test(`large files alike that begin at the same time are sent once, to ${kind} storage`, async (t) => {
    await using world = await makeWorld({ kind, config: { 'block-change': '1M' } });
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const [content, other] = [pseudoRandomBytes('one', 2 * MIB), pseudoRandomBytes('other', 2 * MIB)];
    for (const name of names) {
      writeFileSync(`${world.source}/${name}`, content);
      writeFileSync(`${world.source}/other ${name}`, other);
    }
    const { run, bytes } = await world.backup();
    t.equal(bytes.sent, content.length + other.length);
    const inodes = names.map((name) => statSync(`${world.storage}/${run}${world.source}/${name}`).ino);
    t.equal(new Set(inodes).size, 1);
    t.same(await compareTrees(world.source, await world.restore()), []);
  });
}
