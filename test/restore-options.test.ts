import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { pseudoRandomBytes, writeSampleTree } from './harness/sample-tree.ts';
import { makeWorld, type World } from './harness/world.ts';

t.test('--from takes latest, a run, and a date: the newest run at or before it', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const backupAt = async (time: string): Promise<void> => {
    writeFileSync(`${world.source}/file`, time);
    await world.expect(['backup'], 0, { through: ['faketime', time] });
  };
  for (const time of ['2024-04-10 10:00:00', '2024-04-10 20:00:00', '2024-04-12 10:00:00'])
    await backupAt(time);
  const contentFrom = async (from: string): Promise<string> =>
    readFileSync(`${await world.restore(from)}/file`, 'utf8');
  t.equal(await contentFrom('latest'), '2024-04-12 10:00:00');
  t.equal(await contentFrom('2024_04_10_01'), '2024-04-10 10:00:00');
  t.equal(await contentFrom('2024-04-10'), '2024-04-10 20:00:00');
  t.equal(await contentFrom('2024-04-11'), '2024-04-10 20:00:00');
  t.equal(await contentFrom('2030-01-01'), '2024-04-12 10:00:00');
  const restoreFrom = (from: string) =>
    world.bakker.run(['restore', '--from', from, '--to', `${world.bakker.folder}/no`]);
  const tooEarly = await restoreFrom('2024-04-09');
  t.equal(tooEarly.status, 1);
  t.match(tooEarly.stderr, '2024_04_10_01', 'says what the oldest is');
  t.equal((await restoreFrom('2024_04_10_07')).status, 1);
  t.equal((await restoreFrom('yesterdayish')).status, 2);
});

t.test('paths and patterns choose what is restored; what matches nothing is an error', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 100 });
  writeFileSync(`${world.source}/odd [name]*`, 'odd');
  await world.backup();
  const namesFrom = async (...patterns: string[]): Promise<string[]> => {
    const target = `${world.bakker.folder}/chosen`;
    rmSync(target, { recursive: true, force: true });
    await world.expect(['restore', ...patterns, '--from', 'latest', '--to', target]);
    return execFileSync('find', ['.', '-type', 'f', '-printf', '%P\n'], {
      cwd: `${target}${world.source}`,
      encoding: 'utf8',
    })
      .split('\n')
      .filter((name) => name !== '')
      .sort();
  };
  t.same(await namesFrom(`${world.source}/folder 0/file 7`), ['folder 0/file 7']);
  t.equal((await namesFrom(`${world.source}/folder 1`)).length, 50);
  t.same(
    await namesFrom(`${world.source}/*/file 1?`),
    [...Array(10).keys()].map((index) => `folder 0/file 1${index}`),
  );
  t.same(await namesFrom(`${world.source}/odd [name]*`), ['odd [name]*']);
  const nothing = await world.expect(
    ['restore', `${world.source}/nothing`, '--from', 'latest', '--to', `${world.bakker.folder}/none`],
    1,
  );
  t.match(nothing.stderr, `${world.source}/nothing`);
});

async function makeChangedTarget(world: World): Promise<string> {
  for (const name of ['same', 'older', 'newer', 'missing']) {
    writeFileSync(`${world.source}/${name}`, `${name} in the run`);
    utimesSync(`${world.source}/${name}`, 2_000, 2_000);
  }
  await world.backup();
  const there = await world.restore();
  const change = (name: string, timeS: number): void => {
    writeFileSync(`${there}/${name}`, `${name}, changed here`);
    utimesSync(`${there}/${name}`, timeS, timeS);
  };
  change('older', 1_000);
  change('newer', 3_000);
  rmSync(`${there}/missing`);
  writeFileSync(`${there}/extra`, 'not in the run');
  return there;
}

const MODES = {
  always: ['older', 'newer', 'missing'],
  'if-changed': ['older', 'newer', 'missing'],
  'if-newer': ['older', 'missing'],
  never: ['missing'],
} as const;

for (const [mode, restored] of Object.entries(MODES)) {
  t.test(`--overwrite ${mode} restores ${restored.join(', ')} and nothing else`, async (t) => {
    await using world = await makeWorld({ kind: 'local' });
    const there = await makeChangedTarget(world);
    const target = there.slice(0, -world.source.length);
    await world.expect(['restore', '--from', 'latest', '--to', target, '--overwrite', mode]);
    for (const name of ['same', 'older', 'newer', 'missing']) {
      const isFromRun = name === 'same' || restored.some((wanted) => wanted === name);
      t.equal(readFileSync(`${there}/${name}`, 'utf8') === `${name} in the run`, isFromRun, name);
    }
    t.ok(existsSync(`${there}/extra`), 'nothing is deleted without --delete');
  });
}

t.test('--delete asks; with --yes the target becomes exactly the run', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const there = await makeChangedTarget(world);
  const target = there.slice(0, -world.source.length);
  const args = ['restore', '--from', 'latest', '--to', target, '--overwrite', 'always', '--delete'];
  const unasked = await world.expect(args, 1);
  t.match(unasked.stderr, /--yes/);
  t.ok(existsSync(`${there}/extra`));
  await world.expect([...args, '--dry-run', '--yes']);
  t.ok(existsSync(`${there}/extra`), 'a dry run deletes nothing');
  await world.expect([...args, '--yes']);
  t.same(await compareTrees(world.source, there), []);
});

t.test('--delete leaves the runs that it restores from, also those of another folder', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'from the run');
  await world.backup();
  const copy = `${world.source}/copy`;
  execFileSync('cp', ['-a', world.storage, copy]);
  writeFileSync(`${world.source}/extra`, 'not in the run');
  const before = readdirSync(copy);
  const args = ['restore', world.source, '--account', copy, '--in-place', '--delete', '--yes'];
  t.match((await world.expect(args)).stdout, /copy was not deleted: .*holds the runs/);
  t.same(readdirSync(copy), before);
  t.notOk(existsSync(`${world.source}/extra`));
});

t.test('--delete asks before a folder makes way for a file, and a dry run shows it', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'from the run');
  writeFileSync(`${world.source}/other`, 'from the run, too');
  await world.backup();
  const target = `${world.bakker.folder}/out`;
  const there = `${target}${world.source}`;
  mkdirSync(`${there}/file/below`, { recursive: true });
  writeFileSync(`${there}/file/below/precious`, 'precious');
  const args = ['restore', '--to', target];
  const isThere = () => existsSync(`${there}/file/below/precious`);

  const dry = await world.expect([...args, '--delete', '--dry-run']);
  t.match(dry.stdout, /^delete +.*\/file$/m);
  t.match(dry.stdout, /would write 2 files \(29 B\).*, 3 paths deleted/);
  t.match((await world.expect([...args, '--delete'], 1)).stderr, /Delete 3 paths/);
  t.match((await world.expect([...args, '--dry-run'], 1)).stdout, /not empty is in the way/);
  t.match((await world.expect(args, 1)).stdout, /not empty is in the way/);
  t.ok(isThere(), 'nothing of this removed it');
  await world.expect([...args, '--delete', '--yes']);
  t.same(await compareTrees(world.source, there), []);
});

t.test('a target that can be made nowhere is said at once', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  await world.backup();
  for (const target of ['/proc/none', '/proc/none/below', `${world.source}/file/below`])
    t.match((await world.expect(['restore', '--to', target], 1)).stderr, target);
});

t.test('--dry-run names what would be restored and writes nothing', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 10 });
  await world.backup();
  const target = `${world.bakker.folder}/out`;
  const dry = await world.expect(['restore', '--from', 'latest', '--to', target, '--dry-run']);
  t.match(dry.stdout + dry.stderr, 'file 7');
  t.notOk(existsSync(target));
});

t.test('in place: what was lost comes back where it was', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 60 });
  execFileSync('cp', ['-a', world.source, `${world.bakker.folder}/kept`]);
  await world.backup();
  rmSync(`${world.source}/folder 0`, { recursive: true });
  writeFileSync(`${world.source}/folder 1/file 55`, 'overwritten by mistake');
  await world.expect(['restore', world.source, '--from', 'latest', '--in-place']);
  t.same(await compareTrees(`${world.bakker.folder}/kept`, world.source), []);
});

t.test('--verify reads back what was restored', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 10 });
  await world.backup();
  t.same(await compareTrees(world.source, await world.restore('latest', ['--verify'])), []);
});

/** A disk that puts down something else than it was given. */
const WRITES_WRONGLY = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { write, writeSync } = fs;
const asPutDown = (bytes) => Buffer.from(bytes.toString('latin1').replace('as sent', 'another'), 'latin1');
fs.writeSync = (fd, bytes, ...where) => writeSync(fd, Buffer.isBuffer(bytes) ? asPutDown(bytes) : bytes, ...where);
fs.write = (fd, bytes, ...where) => write(fd, Buffer.isBuffer(bytes) ? asPutDown(bytes) : bytes, ...where);
syncBuiltinESMExports();`;

t.test('--verify names what does not read back as it was sent', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const names = ['large', 'small'].map((name) => `${world.source}/${name}`);
  writeFileSync(`${world.source}/small`, 'as sent');
  writeFileSync(`${world.source}/large`, Buffer.concat([Buffer.from('as sent'), Buffer.alloc(3_000_000, 1)]));
  writeFileSync(`${world.source}/sound`, 'sound');
  await world.backup();
  const preload = `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(WRITES_WRONGLY)}`;
  const args = ['restore', '--to', `${world.bakker.folder}/out`, '--verify'];
  const { stdout } = await world.expect(args, 1, { through: ['env', preload] });
  for (const name of names) t.match(stdout, new RegExp(`${name} .*reads back differently`));
  t.notMatch(stdout, `${world.source}/sound`);
});

t.test('a restore does not end well before all of it is on the disk', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  await world.backup();
  const through = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=syncfs:error=EIO'];
  const args = ['restore', '--to', `${world.bakker.folder}/out`];
  t.match(
    (await world.expect(args, 1, { through })).stderr,
    /the disk that is restored to reports an error \(EIO\)/,
  );
  await world.expect([...args, '--dry-run'], 0, { through });
});

t.test('--numeric-owner keeps the numbers; without it names decide', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  execFileSync('chown', ['41234:41235', `${world.source}/file`]);
  await world.backup();
  const { uid, gid } = statSync(`${await world.restore('latest', ['--numeric-owner'])}/file`);
  t.same([uid, gid], [41234, 41235]);
});

t.test('onto a tree that is there, only what differs is fetched', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  const totalBytes = writeSampleTree(world.source, { files: 300, maxBytes: 60_000 });
  const changedBytes = 500_000;
  writeFileSync(`${world.source}/changed`, pseudoRandomBytes('changed', changedBytes));
  writeFileSync(`${world.source}/same`, pseudoRandomBytes('same', 3_000_000));
  await world.backup();
  const target = `${world.bakker.folder}/out`;
  const args = ['restore', '--from', 'latest', '--to', target];
  await world.expect(args);
  const there = `${target}${world.source}`;
  writeFileSync(`${there}/changed`, 'changed here');
  writeFileSync(`${there}/folder 0/file 7`, 'and here');
  chmodSync(`${there}/same`, 0o600);
  proxy.reset();
  await world.expect(args);
  t.same(await compareTrees(world.source, there), []);
  const receivedBytes = proxy.receivedBytes();
  t.ok(receivedBytes > changedBytes && receivedBytes < changedBytes + 250_000, `${receivedBytes} received`);
  t.ok(totalBytes > 1_000_000, 'the rest would show');
});

t.test('a restore that was killed can be run again and completes', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const totalBytes = writeSampleTree(world.source, { files: 1500, maxBytes: 60_000 });
  writeFileSync(`${world.source}/large`, pseudoRandomBytes('large', 12_000_000));
  await world.backup();
  const target = `${world.bakker.folder}/out`;
  const args = ['restore', '--from', 'latest', '--to', target];
  for (const share of [0.2, 0.5, 0.8]) {
    world.proxy?.reset();
    const running = world.bakker.start(args);
    while (
      (world.proxy?.receivedBytes() ?? 0) < (totalBytes + 12_000_000) * share &&
      running.process.exitCode === null
    ) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    running.process.kill('SIGKILL');
    await running.finished;
  }
  await world.expect(args);
  t.same(await compareTrees(world.source, `${target}${world.source}`), []);
  const strays = execFileSync('find', [target, '-name', '*bakker*', '-type', 'f'], { encoding: 'utf8' });
  t.equal(strays, '', 'no temporary file is left');
});

t.test('a target folder that is a symlink, or holds one, never leads outside', async (t) => {
  await using world = await makeWorld();
  mkdirSync(`${world.source}/inner`);
  writeFileSync(`${world.source}/inner/file`, 'from the run');
  symlinkSync('/nowhere', `${world.source}/link`);
  await world.backup();
  const outside = `${world.bakker.folder}/outside`;
  mkdirSync(outside);
  writeFileSync(`${outside}/file`, 'precious');
  for (const mode of Object.keys(MODES)) {
    const target = `${world.bakker.folder}/target ${mode}`;
    const there = `${target}${world.source}`;
    mkdirSync(there, { recursive: true });
    symlinkSync(outside, `${there}/inner`);
    symlinkSync(`${outside}/file`, `${there}/link`);
    await world.bakker.run(['restore', '--from', 'latest', '--to', target, '--overwrite', mode]);
    t.equal(readFileSync(`${outside}/file`, 'utf8'), 'precious', mode);
    t.same(readdirSync(outside), ['file'], mode);
    const isFolder = lstatSync(`${there}/inner`).isDirectory();
    if (mode === 'always') t.ok(isFolder, 'the symlink made way for the folder');
  }
});

/** Kills the process when half of the fifth file is written, whichever thread writes it. */
const DIES_HALF_WAY = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const write = fs.writeSync;
let seen = 0;
fs.writeSync = (fd, bytes, offset, length, position) => {
  if (length !== 20_000 || ++seen < 5) return write(fd, bytes, offset, length, position);
  write(fd, bytes, offset, 10_000, position);
  process.kill(process.pid, 'SIGKILL');
};
syncBuiltinESMExports();`;

for (const overwrite of ['if-changed', 'if-newer', 'never'] as const) {
  t.test(`killed in mid-write and run again with --overwrite ${overwrite}, a restore is whole`, async (t) => {
    await using world = await makeWorld({ kind: 'local' });
    // more than are written before there is a thread for it
    for (let index = 0; index < 300; index++)
      writeFileSync(`${world.source}/${index}`, pseudoRandomBytes(`${index}`, 20_000));
    await world.backup();
    const target = `${world.bakker.folder}/back`;
    const words = ['restore', '--from', 'latest', '--to', target, '--overwrite', overwrite];
    const preload = `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(DIES_HALF_WAY)}`;
    const killed = await world.bakker.run(words, { through: ['env', preload] });
    t.not(killed.status, 0, 'it died');
    t.equal(existsSync(target), true, 'in the middle');
    await world.expect(words);
    t.same(await compareTrees(world.source, `${target}${world.source}`), []);
  });
}

t.test('a group reads nothing of a file before the file is that of its group', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  for (let index = 0; index < 20; index++)
    writeFileSync(`${world.source}/small ${index}`, 'content', { mode: 0o640 });
  await world.backup();
  const trace = `${world.bakker.folder}/trace`;
  await world.expect(['restore', '--to', `${world.bakker.folder}/out`], 0, {
    through: ['strace', '-f', '-qq', '-e', 'trace=open,openat,openat2', '-o', trace],
  });
  const made = readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => line.includes('O_CREAT|O_EXCL') && line.includes('small '));
  t.equal(made.length, 20);
  t.ok(
    made.every((line) => / 0600\)/.test(line)),
    made.join('\n'),
  );
});
