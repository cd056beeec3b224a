import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { runTool } from './harness/processes.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { completeRuns, readLatest } from './harness/storage-check.ts';
import { makeWorld } from './harness/world.ts';

for (const kind of ['plain', 'local', 'shell'] as const) {
  t.test(`a run is a full tree of hard links to the run before, on ${kind} storage`, async (t) => {
    await using world = await makeWorld({ kind });
    writeSampleTree(world.source, { files: 100 });
    const first = await world.backup();
    appendFileSync(`${world.source}/folder 0/file 7`, 'more');
    unlinkSync(`${world.source}/folder 1/file 60`);
    writeFileSync(`${world.source}/folder 1/added`, 'added');
    const second = await world.backup();
    t.equal(second.parent, first.run);
    t.match(second.files, { new: 1, changed: 1, gone: 1, unchanged: second.files.total - 2 });
    t.same(completeRuns(world.storage), [first.run, second.run]);
    t.equal(readLatest(world.storage), second.run);

    const inRun = (run: string | null, name: string) =>
      lstatSync(`${world.storage}/${run}${world.source}/${name}`);
    for (let index = 0; index < 100; index += 1) {
      const name = `folder ${Math.floor(index / 50)}/file ${index}`;
      if (index === 60) continue;
      const isSame = inRun(first.run, name).ino === inRun(second.run, name).ino;
      t.equal(isSame, index !== 7, name);
    }
    t.throws(() => inRun(second.run, 'folder 1/file 60'), { code: 'ENOENT' });
    t.equal(inRun(first.run, 'folder 1/file 60').isFile(), true);
  });

  t.test(`rsync of latest gives the contents back without bakker, from ${kind} storage`, async (t) => {
    await using world = await makeWorld({ kind });
    writeSampleTree(world.source, { files: 30 });
    mkdirSync(`${world.source}/empty`);
    await world.backup();
    const elsewhere = `${world.bakker.folder}/elsewhere`;
    await runTool('rsync', ['-a', `${world.storage}/latest/`, `${elsewhere}/`]);
    t.same(await compareTrees(world.source, `${elsewhere}${world.source}`, { attributes: false }), []);
  });
}

t.test('a first run on local storage never shares an inode with the live data', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/live`, 'live data');
  const { run } = await world.backup();
  t.not(statSync(`${world.storage}/${run}${world.source}/live`).ino, statSync(`${world.source}/live`).ino);
  t.equal(statSync(`${world.source}/live`).nlink, 1);
});

t.test('a storage that makes no hard links is warned of, and its runs are whole', async (t) => {
  await using world = await makeWorld({ kind: 'plain' });
  const { account } = world;
  if (account === undefined) throw new Error('a plain account');
  const publicKey = readFileSync(`${account.identityFile}.pub`, 'utf8').trim();
  await account.authorise([`restrict,command="internal-sftp -P hardlink" ${publicKey}`]);
  writeSampleTree(world.source, { files: 30 });
  const first = await world.backup();
  t.strictSame(first.warnings, [], 'a first run has nothing to link');
  const second = await world.backup();
  t.match(second, { status: 'complete', files: { unchanged: second.files.total } });
  t.equal(second.warnings.length, 1);
  t.match(second.warnings[0], /made no hard link.*bakker doctor/);
  const doctor = await world.bakker.run(['doctor']);
  t.match(doctor.stdout + doctor.stderr, /hard links/);
  await world.expect(['verify', '--data']);
});
