import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { pseudoRandomBytes, settle, writeSampleTree } from '../harness/sample-tree.ts';
import { makeSealedWorld } from '../harness/sealed-world.ts';
import { administer, authoriseShell } from '../harness/shell-account.ts';
import { completeRuns, findBrokenPromises, fingerprintRuns } from '../harness/storage-check.ts';
import { makeWorld, type World } from '../harness/world.ts';

const SSH_BYTES = 8_000;
const MIB = 1024 * 1024;

/** Both ways, since the last call. */
function wireBytes({ proxy }: World): number {
  if (proxy === undefined) throw new Error('no proxy');
  const bytes = proxy.sentBytes() + proxy.receivedBytes();
  proxy.reset();
  return bytes;
}

t.test('whatever changes between two runs, each run is what the source was', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  const { source } = world;
  writeSampleTree(source, { files: 300, filesPerFolder: 50 });
  mkdirSync(`${source}/deep/er`, { recursive: true });
  for (const name of ['a', 'b', 'c']) writeFileSync(`${source}/deep/er/${name}`, name);
  writeFileSync(`${source}/one`, 'linked');
  linkSync(`${source}/one`, `${source}/deep/two`);
  symlinkSync('one', `${source}/link`);
  symlinkSync('nowhere', `${source}/other link`);
  const long = `${source}/${Array.from({ length: 16 }, (_, index) => String(index).repeat(200).slice(0, 240)).join('/')}`;
  execFileSync('sh', ['-c', 'mkdir -p "$1" && cd "$1" && echo deep > file', 'sh', long]);
  await world.backup();

  const changes: readonly (() => void)[] = [
    () => undefined,
    () => appendFileSync(`${source}/folder 1/file 60`, 'more'),
    () => renameSync(`${source}/folder 2`, `${source}/a folder`),
    () => rmSync(`${source}/folder 3`, { recursive: true }),
    () => {
      rmSync(`${source}/deep/er`, { recursive: true });
      writeFileSync(`${source}/deep/er`, 'a file where a folder was');
      rmSync(`${source}/link`);
      mkdirSync(`${source}/link`);
      writeFileSync(`${source}/link/inside`, 'a folder where a symlink was');
    },
    () => {
      rmSync(`${source}/deep/er`);
      symlinkSync('two', `${source}/deep/er`);
      linkSync(`${source}/one`, `${source}/deep/three`);
      rmSync(`${source}/one`);
    },
    () => {
      chmodSync(`${source}/folder 1/file 61`, 0o4711);
      mkdirSync(`${source}/folder 1/file 62.d`);
      writeFileSync(`${source}/.first of all`, '');
      writeFileSync(`${source}/~last of all`, '');
    },
    () => rmSync(`${source}/other link`),
  ];
  for (const [number, change] of changes.entries()) {
    const before = await fingerprintRuns(world.storage);
    change();
    const report = await world.backup();
    t.same(report.warnings, [], `change ${number} needs no second try`);
    t.same(await compareTrees(source, await world.restore()), [], `change ${number} is in its run`);
    const after = await fingerprintRuns(world.storage);
    for (const [run, print] of before) t.equal(after.get(run), print, `${run} stays as it was`);
  }
  t.same(findBrokenPromises(world.storage), []);
  const { runs } = await world.verify(['--data']);
  t.equal(runs.length, changes.length + 1);
  for (const { run, damaged } of runs) t.same(damaged, [], run);
});

t.test('a run in which nothing changed, or a folder was renamed, is told in a few bytes', async (t) => {
  await using world = await makeWorld({ kind: 'shell', proxied: true });
  writeSampleTree(world.source, { files: 20_000, filesPerFolder: 100, maxBytes: 100 });
  await settle();
  await world.backup();
  wireBytes(world);
  t.equal((await world.backup()).files.unchanged, 20_000);
  const nothing = wireBytes(world);
  t.ok(nothing < SSH_BYTES + 4_000, `${nothing} bytes with the SSH handshake`);
  mkdirSync(`${world.source}/moved`);
  for (let folder = 0; folder < 20; folder += 1)
    renameSync(`${world.source}/folder ${folder}`, `${world.source}/moved/folder ${folder}`);
  const report = await world.backup();
  t.match(report.files, { moved: 2_000, unchanged: 18_000, new: 0, gone: 0 });
  const renamed = wireBytes(world);
  t.ok(renamed < SSH_BYTES + 40_000, `${renamed} bytes for 2,000 files under another name`);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('a file that was moved twice is not looked for where it was at first', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  mkdirSync(`${world.source}/first`);
  for (let index = 0; index < 50; index += 1)
    writeFileSync(`${world.source}/first/${index}`, `file ${index}`);
  await world.backup();
  for (const [from, to] of [
    ['first', 'second'],
    ['second', 'third'],
  ] as const) {
    // only what had been at rest before the parent is told as moved
    execFileSync('sleep', ['3']);
    await world.backup();
    renameSync(`${world.source}/${from}`, `${world.source}/${to}`);
    t.match((await world.backup()).files, { moved: 50, gone: 0 });
  }
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('what somebody took out of the parent on the storage is noticed and sent again', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  writeSampleTree(world.source, { files: 200 });
  const first = await world.backup();
  rmSync(`${world.storage}/${first.run}${world.source}/folder 0/file 7`);
  const second = await world.backup();
  t.match(second.warnings.join('\n'), /file 7 is missing from/);
  t.equal(second.status, 'complete');
  t.same(await compareTrees(world.source, await world.restore()), []);
  t.same((await world.verify(['--from', second.run ?? '', '--data'])).runs[0]?.damaged, []);
});

t.test('content that the storage finds damaged is sent again by the next run', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  writeSampleTree(world.source, { files: 60 });
  const first = await world.backup();
  const stored = `${world.storage}/${first.run}${world.source}/folder 0/file 7`;
  const bytes = readFileSync(stored);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  writeFileSync(stored, bytes);
  const scrubbed = administer(world.storage, (account) => ['scrub', '--account', account, '--json']);
  t.match(scrubbed, { status: 15, stdout: /file 7/ });
  t.match((await world.expect(['list'])).stdout, /latest, 1 damaged on the storage/);
  const told = await world.expect(['status', '--storage'], 1);
  t.match(told.stdout, /found damage in run .* \(1 files\)/);
  const { storage } = (await world.bakker.run(['status', '--storage', '--json'])).json<{ storage: object }>();
  t.same(storage, { runs: 1, damagedFiles: 1, damagedRuns: [first.run], frozen: null, missingRun: null });

  const second = await world.backup();
  t.match(second.warnings.join('\n'), /file 7 is damaged in/);
  t.match(second.files, { unchanged: first.files.total, changed: 0 });
  t.equal(second.bytes.sent, bytes.length);
  t.same((await world.verify(['--from', second.run ?? '', '--data'])).runs[0]?.damaged, []);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('whether retention stands still there is what the storage says now, once it was asked', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  writeSampleTree(world.source, { files: 10 });
  const must = (command: string, ...flags: string[]): void => {
    const { status, stderr } = administer(world.storage, (account) => [command, account, ...flags]);
    t.equal(status, 0, stderr);
  };
  const told = async (args: string[] = []): Promise<{ text: string; reason: string | undefined }> => {
    const { stdout } = await world.expect(['status', ...args]);
    const { retentionFrozen } = (await world.bakker.run(['status', ...args, '--json'])).json<{
      retentionFrozen: { reason: string } | null;
    }>();
    return { text: stdout, reason: retentionFrozen?.reason };
  };
  await world.backup();
  must('freeze', '--reason', 'a look first');
  t.equal((await told()).reason, undefined, 'the last run knew nothing of it');
  const frozen = await told(['--storage']);
  t.equal(frozen.reason, 'a look first');
  t.equal(frozen.text.match(/stands still/g)?.length, 1, frozen.text);
  t.match((await world.expect(['doctor'])).stdout, /stands still .*: a look first\n.*bakker-storage thaw/);
  await world.backup(['--force']);
  t.match((await told()).text, /stands still .*: a look first\.\n.*administrator/);
  must('thaw');
  t.match((await told()).text, /stands still/, 'as of the last run');
  const thawed = await told(['--storage']);
  t.equal(thawed.reason, undefined);
  t.notMatch(thawed.text, /stands still/);
  t.notMatch((await world.expect(['doctor'])).stdout, /stands still/);
});

t.test('what the storage says to leave out is left out, if the server lets it', async (t) => {
  await using world = await makeWorld({ kind: 'shell', config: { 'storage-config': true } });
  writeSampleTree(world.source, { files: 60 });
  // So that their times tell that they did not change: as they do of all that was not written just now.
  await delay(2_100);
  await world.backup();
  writeFileSync(`${world.storage}/.bakker/agent.yaml`, 'exclude: ["folder 1"]\n');
  const report = await world.backup();
  t.equal(report.files.total, 50);
  await world.configure({ 'storage-config': false });
  t.equal((await world.backup()).files.total, 60);
});

t.test('doctor looks at the sources that only the storage names', async (t) => {
  await using world = await makeWorld({ kind: 'shell', config: { 'storage-config': true } });
  writeSampleTree(world.source, { files: 5 });
  await world.backup();
  await world.configure({ sources: undefined });
  const agentConfig = `${world.storage}/.bakker/agent.yaml`;
  writeFileSync(agentConfig, `sources: ["${world.source}"]\n`);
  t.match((await world.expect(['doctor'])).stdout, `ok    sources: ${world.source} is there`);
  writeFileSync(agentConfig, `sources: ["${world.source}", "${world.source}.gone"]\n`);
  t.match((await world.expect(['doctor'], 1)).stdout, `FAIL  sources: ${world.source}.gone is not there`);
});

t.test('a key that may not read backs up, and says plainly what it can not do', async (t) => {
  await using world = await makeWorld({ kind: 'shell', shellKey: { mayRead: false } });
  writeSampleTree(world.source, { files: 100 });
  const first = await world.backup();
  appendFileSync(`${world.source}/folder 0/file 1`, 'changed');
  const second = await world.backup();
  t.match(second.files, { changed: 1, unchanged: first.files.total - 1 });
  const listed = await world.list();
  t.match(
    listed.map(({ run, status, files }) => ({ run, status, files })),
    [first, second].map(({ run, files }) => ({ run, status: 'complete', files: files.total })),
    'runs are listed by what the storage noted',
  );
  t.equal(listed[0]?.bytes.source, first.bytes.source);
  t.match((await world.expect(['status', '--storage'])).stdout, /2 complete runs/);
  for (const args of [
    ['restore', '--from', 'latest', '--to', `${world.bakker.folder}/out`],
    ['verify'],
    ['cat', 'latest', `${world.source}/folder 0/file 1`],
  ]) {
    const { stderr } = await world.expect(args, 13);
    t.match(stderr, /not read/, args.join(' '));
    t.match(stderr, /bakker-storage provision \S+ --allow-read/, args.join(' '));
  }
  rmSync(world.bakker.stateDir, { recursive: true });
  const third = await world.backup();
  t.equal(third.parent, null);
  t.match(third.warnings.join('\n'), /everything is sent again/, 'the memory being lost');

  if (world.account) await authoriseShell(world.account, { role: 'restore' });
  t.same(await compareTrees(world.source, await world.restore()), []);
  const refused = await world.expect(['backup', '--json'], 13);
  t.match(refused.stderr, /restore/, 'a key that may only read does not write');
});

t.test('the storage keeps and retires runs; the server can ask for room', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  writeSampleTree(world.source, { files: 20 });
  await world.backup();
  await world.backup();
  const { stdout } = await world.expect(['retention', '--explain']);
  t.match(stdout, /storage retires runs itself/);
  t.match(stdout, /_01 +stays +younger than 14 days, one of the newest 7\n/, 'and says why each stays');
  t.equal(completeRuns(world.storage).length, 2);
  writeFileSync(
    `${world.storage}/.bakker/account.yaml`,
    'retention: { days: 0, instances: 1, months: 0, years: 0 }\n',
  );
  const verdicts = (await world.expect(['retention', '--json'])).json<
    { keep: boolean; reasons: string[] }[]
  >();
  t.match(verdicts, [
    { keep: true, reasons: [/newest/] },
    { keep: false, reasons: { length: 0 } },
  ]);
  t.equal(completeRuns(world.storage).length, 2, 'only the storage removes any');
  await world.expect(['retention', '--thaw'], 13);
  const asked = await world.expect(['status', '--request-space', '20G']);
  t.match(asked.stdout, /wish for 20\.0 GiB/);
  const findings = (await world.bakker.run(['doctor', '--json'])).json<{ check: string; result: string }[]>();
  t.equal(findings.find(({ check }) => check === 'account')?.result, 'ok');
  t.equal(findings.find(({ check }) => check === 'clock')?.result, 'ok');
});

t.test('a source that lost most of its files freezes the storage, which is said', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  writeSampleTree(world.source, { files: 400, filesPerFolder: 50 });
  await world.backup();
  for (const name of readdirSync(world.source).slice(1))
    rmSync(`${world.source}/${name}`, { recursive: true });
  const report = await world.backup();
  t.match(report.warnings.join('\n'), /storage/);
  t.match((await world.expect(['status'])).stdout, /storage's administrator/);
});

t.test(
  'a source of which most files were renamed or copied has lost none, however they are found again',
  async (t) => {
    for (const hideNames of [false, true]) {
      await using world = await makeSealedWorld({ kind: 'shell', hideNames });
      writeSampleTree(world.source, { files: 200, filesPerFolder: 50 });
      await settle();
      await world.backup();
      writeFileSync(`${world.source}/later`, 'later');
      await world.backup();
      for (const folder of readdirSync(world.source).filter((name) => name.startsWith('folder'))) {
        for (const name of readdirSync(`${world.source}/${folder}`))
          renameSync(`${world.source}/${folder}/${name}`, `${world.source}/${folder}/renamed ${name}`);
      }
      const renamed = await world.backup();
      t.same(renamed.warnings, [], `names ${hideNames ? 'hidden' : 'clear'}: renamed`);
      execFileSync('cp', ['-a', world.source, `${world.source}.copy`]);
      rmSync(world.source, { recursive: true });
      renameSync(`${world.source}.copy`, world.source);
      for (const folder of readdirSync(world.source).filter((name) => name.startsWith('folder')))
        renameSync(`${world.source}/${folder}`, `${world.source}/other ${folder}`);
      const copied = await world.backup();
      t.equal(copied.bytes.sent, 0);
      t.same(copied.warnings, [], `names ${hideNames ? 'hidden' : 'clear'}: copied`);
    }
  },
);

t.test('a run that is known to be a link of the past shares its inode', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  writeSampleTree(world.source, { files: 60 });
  const first = await world.backup();
  const second = await world.backup();
  const inode = (run: string | null, name: string) =>
    lstatSync(`${world.storage}/${run}${world.source}/${name}`).ino;
  for (const index of [0, 31, 59]) {
    const name = `folder ${Math.floor(index / 50)}/file ${index}`;
    t.equal(inode(first.run, name), inode(second.run, name));
  }
});

t.test(
  'a folder that filled the account and is excluded then is not in the way of the next run',
  async (t) => {
    await using world = await makeWorld({ kind: 'shell' });
    writeFileSync(`${world.source}/first`, 'first');
    await world.backup();
    writeFileSync(`${world.storage}/.bakker/account.yaml`, 'space: { limit: 8M }\n');
    mkdirSync(`${world.source}/big`);
    for (let index = 0; index < 120; index++)
      writeFileSync(`${world.source}/big/${index}`, pseudoRandomBytes(`big ${index}`, 100_000));
    mkdirSync(`${world.source}/wanted`);
    await settle();
    await world.expect(['backup', '--json'], 13);
    for (let index = 0; index < 30; index++)
      writeFileSync(`${world.source}/wanted/${index}`, pseudoRandomBytes(`wanted ${index}`, 100_000));
    await world.configure({ exclude: ['big/'] });
    await settle();
    t.equal((await world.backup()).status, 'complete');
    const [run] = completeRuns(world.storage).slice(-1);
    t.equal(readdirSync(`${world.storage}/${run}${world.source}/wanted`).length, 30);
    t.same(findBrokenPromises(world.storage), []);
  },
);

t.test('what an unfinished run had, and gave way since, is sent again without a word', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  const policy = `${world.storage}/.bakker/account.yaml`;
  writeFileSync(`${world.source}/first`, 'first');
  await world.backup();
  writeFileSync(policy, 'space: { limit: 2M }\n');
  for (let index = 0; index < 30; index++)
    writeFileSync(`${world.source}/${index}`, pseudoRandomBytes(`file ${index}`, 100_000));
  await settle();
  await world.expect(['backup', '--json'], 13);
  const unfinished = readdirSync(world.storage).filter((name) => name.endsWith('.incomplete'));
  const arrived = `${world.storage}/${unfinished[0]}${world.source}`;
  for (const name of readdirSync(arrived)) if (name !== 'first') rmSync(`${arrived}/${name}`);
  writeFileSync(policy, 'space: { limit: 64M }\n');
  const report = await world.backup();
  t.equal(report.status, 'complete');
  t.same(report.warnings, []);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('a large file that can not fit fails before it is sent; one of holes does fit', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 96 * MIB });
  await using world = await makeWorld({ kind: 'shell', storageOn: disk.folder, proxied: true });
  writeSampleTree(world.source, { files: 50 });
  const sparse = openSync(`${world.source}/sparse`, 'w');
  writeSync(sparse, 'begins', 0);
  writeSync(sparse, 'ends', 500 * MIB);
  closeSync(sparse);
  await settle();
  const first = await world.backup();
  t.equal(first.status, 'complete', 'a file of 500 MiB, nearly all of it a hole, in 96 MiB');
  writeFileSync(`${world.source}/too large`, Buffer.alloc(120 * MIB, 'x'));
  wireBytes(world);
  await world.expect(['backup', '--json'], 13);
  const sent = wireBytes(world);
  t.ok(sent < MIB, `${sent} bytes were sent`);
  t.same(findBrokenPromises(world.storage), []);
  truncateSync(`${world.source}/too large`, 10 * MIB);
  t.equal((await world.backup()).status, 'complete');
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('with a key that may not read, too, a large file that changed is made from the old one', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 400 * MIB });
  const shellKey = { mayRead: false };
  await using world = await makeWorld({ kind: 'shell', storageOn: disk.folder, proxied: true, shellKey });
  const large = `${world.source}/large`;
  writeFileSync(large, pseudoRandomBytes('large', 40 * MIB));
  await settle();
  await world.backup();
  const file = openSync(large, 'r+');
  writeSync(file, Buffer.alloc(70_000, 'changed'), 0, 70_000, 20 * MIB);
  closeSync(file);
  appendFileSync(large, 'and longer');
  await settle();
  wireBytes(world);
  t.equal((await world.backup()).status, 'complete');
  const sent = wireBytes(world);
  t.ok(sent < 2 * MIB, `${sent} bytes for 70 kB that changed`);
  if (world.account) await authoriseShell(world.account, { role: 'restore' });
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('a storage that serves nobody until its policy is corrected says that to the server', async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  writeFileSync(`${world.source}/file`, 'file');
  await world.backup();
  writeFileSync(`${world.storage}/.bakker/account.yaml`, 'retentoin: { days: 3 }\n');
  for (const transport of ['ssh2', 'openssh']) {
    await world.configure({ transport });
    const { stderr } = await world.expect(['backup', '--json'], 13);
    t.match(stderr, /account\.yaml.*retentoin: unknown key; did you mean retention/, transport);
  }
});
