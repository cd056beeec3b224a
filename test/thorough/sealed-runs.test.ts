import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { pseudoRandomBytes, settle, writeSampleTree } from '../harness/sample-tree.ts';
import { makeSealedWorld } from '../harness/sealed-world.ts';
import { findBrokenPromises, fingerprintRuns } from '../harness/storage-check.ts';
import { makeTortureTree } from '../harness/torture-tree.ts';

const MIB = 1024 * 1024;

const IS_WHOLE = process.env['BAKKER_TEST_ALL'] === '1';

for (const kind of ['plain', 'local', 'shell'] as const) {
  for (const hideNames of [false, true]) {
    // Every day each storage once, and each way of naming.
    if (!IS_WHOLE && hideNames === (kind === 'local')) continue;
    const how = `on ${kind} storage, names ${hideNames ? 'hidden' : 'clear'}`;

    t.test(`whatever changes between sealed runs, each is what the source was, ${how}`, async (t) => {
      await using world = await makeSealedWorld({ kind, hideNames });
      const { source } = world;
      writeSampleTree(source, { files: 300, filesPerFolder: 50, maxBytes: 100_000 });
      mkdirSync(`${source}/deep/er/still`, { recursive: true });
      for (const name of ['a', 'b', 'c']) writeFileSync(`${source}/deep/er/${name}`, `${name} in deep`);
      writeFileSync(`${source}/deep/er/still/there`, 'far below');
      writeFileSync(`${source}/one`, 'linked');
      linkSync(`${source}/one`, `${source}/deep/two`);
      symlinkSync('one', `${source}/link`);
      writeFileSync(`${source}/large`, pseudoRandomBytes('large', 9 * MIB + 5));
      writeFileSync(`${source}/text`, 'text that shrinks a lot\n'.repeat(60_000));
      const first = await world.backup();
      t.match(first, { status: 'complete', parent: null, files: { unreadable: 0 }, warnings: { length: 0 } });
      t.same(await compareTrees(source, await world.restoreSealed()), []);

      const second = await world.backup();
      t.equal(second.files.unchanged, second.files.total, 'nothing changed');
      t.equal(second.bytes.sent, 0);

      const changes: readonly (() => void)[] = [
        () => {
          appendFileSync(`${source}/folder 1/file 60`, 'more');
          renameSync(`${source}/folder 2`, `${source}/a folder`);
          renameSync(`${source}/deep`, `${source}/folder 1/deep`);
          rmSync(`${source}/folder 3`, { recursive: true });
        },
        () => {
          rmSync(`${source}/folder 1/deep/er`, { recursive: true });
          writeFileSync(`${source}/folder 1/deep/er`, 'a file where a folder was');
          rmSync(`${source}/link`);
          mkdirSync(`${source}/link`);
          writeFileSync(`${source}/link/inside`, 'a folder where a symlink was');
          chmodSync(`${source}/folder 1/file 61`, 0o4711);
          mkdirSync(`${source}/folder 1/file 62.d`);
          writeFileSync(`${source}/.first of all`, '');
          writeFileSync(`${source}/~last of all`, '');
        },
        () => {
          appendFileSync(`${source}/large`, 'grown');
          truncateSync(`${source}/text`, 1000);
          // one folder takes the place of another, whose names move on
          renameSync(`${source}/folder 4`, `${source}/was 4`);
          renameSync(`${source}/folder 5`, `${source}/folder 4`);
        },
        () => {
          // a copy in the old place, the old one elsewhere
          renameSync(`${source}/folder 4`, `${source}/0 first`);
          execFileSync('cp', ['-a', `${source}/0 first`, `${source}/folder 4`]);
        },
      ];
      for (const [number, change] of changes.entries()) {
        const before = await fingerprintRuns(world.storage);
        change();
        const report = await world.backup();
        t.same(report.warnings, [], `change ${number} needs no second try`);
        t.same(await compareTrees(source, await world.restoreSealed()), [], `change ${number} is in its run`);
        const after = await fingerprintRuns(world.storage);
        for (const [run, print] of before) t.equal(after.get(run), print, `${run} stays as it was`);
      }
      const linesOf = (file: string) => world.unsealManifest(file.slice(-19, -5));
      t.same(findBrokenPromises(world.storage, linesOf), []);
      const { runs } = await world.verify(['--data', ...world.key]);
      t.equal(runs.length, changes.length + 2);
      for (const { run, damaged } of runs) t.same(damaged, [], run);
      const last = (await world.list()).at(-1);
      t.equal(last?.status, 'complete', 'no key is needed to list runs');
    });
  }
}

for (const [kind, hideNames] of [
  ['plain', false],
  ['local', true],
  ['shell', true],
] as const) {
  const how = `on ${kind} storage, names ${hideNames ? 'hidden' : 'clear'}`;
  t.test(`a torture tree comes back, also by the other decoder, ${how}`, async (t) => {
    await using world = await makeSealedWorld({ kind, hideNames });
    // Python's paths are absolute: the longest ones would not fit below another folder
    await makeTortureTree(world.source, { deepPathBytes: 3500 });
    const first = await world.backup();
    t.match(first, { status: 'complete', files: { unreadable: 0 }, warnings: { length: 0 } });
    t.same(await compareTrees(world.source, await world.restoreSealed()), []);
    const second = await world.backup();
    t.equal(second.files.unchanged, second.files.total);
    t.same(await compareTrees(world.source, await world.restoreSealed()), []);
    const { runs } = await world.verify(['--data', ...world.key]);
    t.same(
      runs.map((run) => run.damaged),
      [[], []],
    );
    t.same(await filesDiffer(world.source, world.unsealRun(second.run ?? '')), [], 'unseal.py agrees');
  });
}

t.test('browsing shows what was sealed, with its real names', async (t) => {
  await using world = await makeSealedWorld({ hideNames: true });
  mkdirSync(`${world.source}/a`);
  writeFileSync(`${world.source}/a/file`, 'one');
  const first = await world.backup();
  writeFileSync(`${world.source}/a/file`, 'another one');
  writeFileSync(`${world.source}/new`, 'new');
  await world.backup();
  const { key } = world;
  const file = `${world.source}/a/file`;
  t.equal((await world.expect(['cat', 'latest', file, ...key])).stdout, 'another one');
  t.equal((await world.expect(['cat', first.run ?? '', file, ...key])).stdout, 'one');
  t.match((await world.expect(['ls', 'latest', world.source, ...key])).stdout, /new/);
  t.match((await world.expect(['diff', first.run ?? '', 'latest', ...key])).stdout, /new/);
  t.match((await world.expect(['find', 'file', ...key])).stdout, /a\/file/);
  t.match((await world.expect(['history', file, ...key])).stdout, new RegExp(first.run ?? ''));
});

t.test('a folder that was renamed keeps all hidden names below it, wherever it is told', async (t) => {
  await using world = await makeSealedWorld({ kind: 'shell', hideNames: true, proxied: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  writeSampleTree(world.source, { files: 2000, filesPerFolder: 200, maxBytes: 100 });
  await settle();
  const first = await world.backup();
  const besideManifest = async () => {
    proxy.reset();
    const report = await world.backup();
    return { report, told: proxy.sentBytes() - statSync(`${world.storage}/${report.run}.impl`).size };
  };
  const { report: second, told: nothing } = await besideManifest();
  t.equal(second.files.unchanged, 2000);
  t.ok(nothing < 20_000, `${nothing} bytes beside the manifest: no link is told`);

  mkdirSync(`${world.source}/below`);
  renameSync(`${world.source}/folder 3`, `${world.source}/below/renamed`);
  const { report: third, told: renamed } = await besideManifest();
  t.ok(
    renamed - nothing < 2_000 + 25 * 200,
    `${renamed - nothing} bytes more: a file costs its hidden name, packed`,
  );
  t.match(third, { warnings: { length: 0 }, files: { moved: 200, gone: 0, new: 0 }, bytes: { sent: 0 } });
  const names = (run: string | null) => {
    const listed = execFileSync('find', [`${world.storage}/${run}`, '-type', 'f'], { encoding: 'utf8' });
    return listed
      .split('\n')
      .map((path) => path.slice(path.lastIndexOf('/') + 1))
      .sort();
  };
  t.same(names(third.run), names(first.run));
  t.same(await compareTrees(world.source, await world.restoreSealed()), []);
});

t.test('equal names in different folders do not look equal', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local', hideNames: true });
  for (const folder of ['a', 'b', 'c']) {
    mkdirSync(`${world.source}/${folder}`);
    writeFileSync(`${world.source}/${folder}/same`, 'same');
  }
  const { run } = await world.backup();
  const listed = execFileSync('find', [`${world.storage}/${run}`, '-mindepth', '1', '-printf', '%f\n'], {
    encoding: 'utf8',
  });
  const names = listed.trim().split('\n');
  t.equal(new Set(names).size, names.length);
  for (const name of names) t.match(name, /^[a-z2-7]{26}$/);
});

t.test('a key that reads nothing back, and a dry run, need no more than others', async (t) => {
  await using world = await makeSealedWorld({ kind: 'shell', hideNames: true, shellKey: { mayRead: false } });
  writeSampleTree(world.source, { files: 40 });
  t.equal((await world.backup(['--dry-run'])).files.new, 40);
  const first = await world.backup();
  appendFileSync(`${world.source}/folder 0/file 1`, 'more');
  t.match((await world.backup(['--dry-run'])).files, { changed: 1, unchanged: 39 });
  t.match(await world.backup(), {
    warnings: { length: 0 },
    parent: first.run,
    files: { changed: 1, unchanged: 39 },
  });
});

/** Contents, names and symlinks: all that the other decoder restores. */
async function filesDiffer(left: string, right: string): Promise<string[]> {
  const differences = await compareTrees(left, right, { attributes: false });
  // devices, fifos and sockets are in the manifest alone
  return differences.filter(
    (line) => !/^[.*c>h][DS]/.test(line) && !line.startsWith('*deleting') && !/^cS|^cD/.test(line),
  );
}
