import {
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import type { Difference } from './harness/json-contracts.ts';
import { pseudoRandomBytes, writeSampleTree } from './harness/sample-tree.ts';
import { makeWorld } from './harness/world.ts';

t.test('what scripts read has exactly the promised keys', async (t) => {
  await using world = await makeWorld();
  const totalBytes = writeSampleTree(world.source, { files: 20 });
  const first = await world.backup();
  const report = {
    run: String,
    status: 'complete',
    parent: null,
    files: { total: 20, new: 20, changed: 0, metadata: 0, moved: 0, unchanged: 0, gone: 0, unreadable: 0 },
    bytes: { source: totalBytes, sent: totalBytes, stored: totalBytes },
    seconds: Number,
    warnings: [],
  };
  t.match(first, report);
  t.same(Object.keys(first).sort(), Object.keys(report).sort());
  t.same(Object.keys(first.files).sort(), Object.keys(report.files).sort());

  writeFileSync(`${world.source}/folder 0/added`, 'added');
  writeFileSync(`${world.source}/folder 0/file 1`, 'changed');
  chmodSync(`${world.source}/folder 0/file 2`, 0o600);
  renameSync(`${world.source}/folder 0/file 3`, `${world.source}/moved`);
  rmSync(`${world.source}/folder 0/file 4`);
  const second = await world.backup();
  t.match(second, {
    parent: first.run,
    files: { total: 20, new: 1, changed: 1, metadata: 1, moved: 1, unchanged: 16, gone: 1 },
  });

  const listed = await world.list();
  t.same(
    listed.map(({ run }) => run),
    [first.run, second.run],
    'oldest first',
  );
  t.match(listed[0], { status: 'complete', files: 20, bytes: { source: totalBytes, added: totalBytes } });
  for (const run of listed) {
    t.same(Object.keys(run).sort(), ['bytes', 'files', 'finishedAt', 'run', 'startedAt', 'status']);
    t.ok(Date.parse(run.startedAt) <= Date.parse(run.finishedAt));
  }

  const run1 = first.run ?? '';
  const run2 = second.run ?? '';
  const differences = (await world.expect(['diff', run1, run2, '--json'])).json<Difference[]>();
  const files = differences.filter(({ path }) => /file|added|moved/.test(path));
  const at = (name: string): string => `${world.source}/${name}`;
  t.same(files.map(({ path, change, from }) => [path, change, from]).sort(), [
    [at('folder 0/added'), 'added', undefined],
    [at('folder 0/file 1'), 'content', undefined],
    [at('folder 0/file 2'), 'metadata', undefined],
    [at('folder 0/file 4'), 'removed', undefined],
    [at('moved'), 'moved', at('folder 0/file 3')],
  ]);
  t.same((await world.expect(['diff', run1, run1, '--json'])).json(), []);

  const verified = await world.verify();
  t.same(Object.keys(verified), ['runs']);
  for (const run of verified.runs) {
    t.same(Object.keys(run).sort(), ['checked', 'damaged', 'run']);
    t.ok(run.checked >= 20);
  }
  t.equal((await world.verify(['--from', run1])).runs.length, 1);
  t.ok((await world.verify(['--data', '--sample', '5%'])).runs.length >= 1);
});

t.test('each name of a hard link is counted by its content', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  const [one, other] = [`${world.source}/one`, `${world.source}/other`];
  writeFileSync(one, 'content');
  linkSync(one, other);
  await world.backup();
  utimesSync(one, 1, 1);
  t.match((await world.backup()).files, { total: 2, changed: 0, metadata: 2 });
  writeFileSync(one, 'changed');
  t.match((await world.backup()).files, { total: 2, changed: 2, metadata: 0 });
});

t.test('a file whose place a folder takes is gone', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/name`, 'a file');
  await world.backup();
  rmSync(`${world.source}/name`);
  mkdirSync(`${world.source}/name`);
  writeFileSync(`${world.source}/name/in it`, 'another');
  t.match((await world.backup()).files, { total: 1, new: 1, changed: 0, gone: 1 });
});

t.test('a path in a warning is absolute', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  const { run } = await world.backup();
  rmSync(`${world.storage}/${run}${world.source}/file`);
  const { warnings } = await world.backup();
  t.match(warnings, [
    `${world.source}/file is missing from ${run} on the storage; its content was sent again`,
  ]);
  t.ok(warnings[0]?.startsWith('/'));
});

t.test('one is not many', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  const { run } = await world.backup();
  writeFileSync(`${world.source}/file`, 'longer');
  await world.backup();
  t.match((await world.expect(['diff', run ?? '', 'latest'])).stdout, /^1 path differs\.$/m);
  const restore = ['restore', '--to', `${world.bakker.folder}/back`];
  await world.expect(restore);
  t.match((await world.expect(restore)).stdout, /, 1 file left as it was\.$/m);
});

t.test('ls and cat show what a run holds without restoring it', async (t) => {
  await using world = await makeWorld();
  const content = pseudoRandomBytes('content', 3_000_000);
  writeFileSync(`${world.source}/large`, content);
  writeFileSync(`${world.source}/small`, 'small');
  const { run } = await world.backup();
  const top = await world.expect(['ls', run ?? '', world.source]);
  t.match(top.stdout, /large/);
  t.match(top.stdout, /small/);
  t.match((await world.expect(['ls', 'latest'])).stdout, world.source.split('/')[1] ?? '?');
  const cat = await world.expect(['cat', run ?? '', `${world.source}/large`]);
  t.ok(cat.stdoutBytes.equals(content));
  t.equal((await world.expect(['cat', 'latest', `${world.source}/small`])).stdout, 'small');
  t.match((await world.expect(['cat', 'latest', `${world.source}/absent`], 1)).stderr, /absent/);
  t.match((await world.expect(['cat', 'latest', world.source], 1)).stderr, /folder|directory/);
  t.match((await world.expect(['ls', 'latest', '/absent'], 1)).stderr, /absent/);
  t.match((await world.expect(['ls', 'latest', '/a/../b'], 2)).stderr, /has a "\.\." in it/);
});

t.test('status and doctor tell monitoring how things are', async (t) => {
  await using world = await makeWorld();
  writeFileSync(`${world.source}/file`, 'file');
  t.match((await world.bakker.run(['status', '--json'])).json(), Object);
  t.equal((await world.bakker.run(['status'])).status, 1, 'there is no run yet');
  const { run } = await world.backup();
  t.match((await world.expect(['status'])).stdout, run ?? '?');
  t.match(JSON.stringify((await world.expect(['status', '--json'])).json()), run ?? '?');
  const late = await world.bakker.run(['status'], { through: ['faketime', '-f', '+5d'] });
  t.equal(late.status, 1, 'a backup that is five days old is not fine');
  t.match((await world.expect(['doctor'])).stdout, /storage|account/i);
  t.match((await world.expect(['doctor', '--json'])).json(), Object);
  await world.server?.stop();
  t.equal((await world.bakker.run(['doctor'])).status, 10);
  t.equal((await world.bakker.run(['status'])).status, 0, 'status needs no storage');
});

t.test('--json prints one value on standard output and everything else on standard error', async (t) => {
  await using world = await makeWorld({ config: { interval: '20h' } });
  writeFileSync(`${world.source}/file`, 'file');
  for (const args of [
    ['backup'],
    ['backup'],
    ['list'],
    ['ls', 'latest'],
    ['verify'],
    ['retention', '--dry-run'],
    ['status'],
  ]) {
    const { stdout } = await world.expect([...args, '--json']);
    t.doesNotThrow(() => void JSON.parse(stdout), args.join(' '));
  }
  t.ok(statSync(world.bakker.stateDir).isDirectory());
});
