import { existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { pseudoRandomBytes, writeSampleTree } from '../harness/sample-tree.ts';
import { forcedCommand } from '../harness/shell-account.ts';
import { makeWorld } from '../harness/world.ts';

/** Lets every read of these files fail as a disk with bad sectors does. */
function badSectorsIn(...files: readonly string[]): readonly string[] {
  const paths = files.flatMap((file) => ['-P', file]);
  const failing = ['-e', 'inject=read,pread64,readv,preadv:error=EIO'];
  return ['strace', '-f', '-qq', '-o', '/dev/null', ...paths, ...failing];
}

t.test('a disk that does not give some files: each is named, and everything else comes back', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 60 });
  writeFileSync(`${world.source}/large`, pseudoRandomBytes('large', 3_000_000));
  const { run } = await world.backup();
  const lost = [`${world.source}/folder 0/file 7`, `${world.source}/large`];
  const through = badSectorsIn(...lost.map((path) => `${world.storage}/${run}${path}`));

  const verified = await world.expect(['verify', '--data', '--json'], 15, { through });
  const { runs } = verified.json<{ runs: { damaged: { path: string; reason: string }[] }[] }>();
  t.same(runs[0]?.damaged.map(({ path }) => path).sort(), lost);
  t.match(runs[0]?.damaged[0]?.reason, /EIO/);

  const target = `${world.bakker.folder}/out`;
  const restored = await world.expect(['restore', '--to', target, '--json'], 15, { through });
  const { damaged, files } = restored.json<{ damaged: { path: string }[]; files: number }>();
  t.same(damaged.map(({ path }) => path).sort(), lost);
  t.equal(files, 59);
  for (const path of lost) t.notOk(existsSync(`${target}${path}`), 'nothing stands in for what is lost');
  const again = await world.expect(['restore', '--to', target, '--json']);
  t.equal(again.json<{ files: number }>().files, 2, 'the rest was right already');
  t.same(await compareTrees(world.source, `${target}${world.source}`), []);
});

t.test('a manifest that the disk does not give is a damaged one: an older run is the parent', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  const first = await world.backup();
  writeFileSync(`${world.source}/new`, 'new');
  const second = await world.backup();
  const through = badSectorsIn(`${world.storage}/${second.run}.impl`);
  const listed = (await world.expect(['list', '--json'], 0, { through })).json<{ status: string }[]>();
  t.same(
    listed.map(({ status }) => status),
    ['complete', 'damaged'],
  );
  const third = (await world.expect(['backup', '--json'], 0, { through })).json<{ parent: string }>();
  t.equal(third.parent, first.run);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('a receipt that the disk does not give costs nothing but its figures', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  const { run } = await world.backup();
  const through = badSectorsIn(`${world.storage}/.bakker/receipts/${run}.json`);
  for (const command of ['list', 'retention', 'backup'])
    await world.expect([command, '--json'], 0, { through });
  t.equal((await world.list()).length, 2);
});

t.test('a log on a disk that takes no flush does not keep a command from ending', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  for (const [command, redirected] of [
    ['backup', '2>log'],
    ['list', '>log'],
  ] as const) {
    const failing = ['-P', `${world.bakker.folder}/log`, '-e', 'inject=fsync:error=EIO'];
    const strace = ['strace', '-f', '-qq', '-o', '/dev/null', ...failing];
    await world.expect([command], 0, { through: ['sh', '-c', `exec "$@" ${redirected}`, 'sh', ...strace] });
    t.match(
      readFileSync(`${world.bakker.folder}/log`, 'utf8'),
      command === 'list' ? /complete/ : /publishing/,
    );
  }
});

/** Lets these calls find the quota used up: an error that Node has no name for. */
function quotaUsedUp(...calls: readonly string[]): readonly string[] {
  const called = calls.join(',');
  const failing = ['-e', `trace=${called}`, '-e', `inject=${called}:error=EDQUOT`];
  return ['strace', '-f', '-qq', '-o', '/dev/null', ...failing];
}

t.test('a quota that is used up is said to be: a local storage, a folder that is restored to', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 60 });
  await world.backup();
  writeSampleTree(`${world.source}/more`, { files: 60 });
  const full = await world.expect(['backup'], 13, { through: quotaUsedUp('mkdir', 'mkdirat') });
  t.match(full.stderr, /the storage is full: .* \(EDQUOT\)/);
  await world.backup();
  const target = ['--to', `${world.bakker.folder}/out`];
  const through = quotaUsedUp('pwrite64');
  const stopped = await world.expect(['restore', ...target], 1, { through });
  t.match(stopped.stderr, /the quota of the folder that is restored to is used up/);
  await world.expect(['restore', ...target]);
  t.same(await compareTrees(world.source, `${world.bakker.folder}/out${world.source}`), []);
});

t.test("a quota that is used up is said to be: a storage's shell", async (t) => {
  await using world = await makeWorld({ kind: 'shell' });
  const { account } = world;
  if (account === undefined) throw new Error('no account');
  const publicKey = readFileSync(`${account.identityFile}.pub`, 'utf8').trim();
  const serveBy = (through: readonly string[]) => {
    const command = [...through, ...forcedCommand(account.folder)].join(' ');
    return account.authorise([`restrict,command="${command}" ${publicKey}`]);
  };
  writeSampleTree(world.source, { files: 60 });
  await serveBy(quotaUsedUp('fsync'));
  const full = await world.expect(['backup'], 13);
  t.match(full.stderr, /the space limit of .* is reached/);
  await serveBy([]);
  t.equal((await world.backup()).status, 'complete');
  t.same(await compareTrees(world.source, await world.restore()), []);
});

for (const kind of ['local', 'shell'] as const) {
  t.test(
    `a run that an administrator moved elsewhere keeps its manifest and its name (${kind})`,
    async (t) => {
      await using world = await makeWorld({ kind });
      writeSampleTree(world.source, { files: 20 });
      const first = await world.backup();
      const second = await world.backup();
      const elsewhere = `${world.bakker.folder}/elsewhere`;
      renameSync(`${world.storage}/${second.run}`, elsewhere);
      symlinkSync(elsewhere, `${world.storage}/${second.run}`);
      const third = await world.backup();
      t.equal(third.parent, first.run);
      t.not(third.run, second.run);
      t.ok(existsSync(`${world.storage}/${second.run}.impl`));
      rmSync(`${world.storage}/${second.run}`);
      renameSync(elsewhere, `${world.storage}/${second.run}`);
      t.same(await compareTrees(world.source, await world.restore(second.run ?? '')), []);
    },
  );
}
