import { appendFileSync, copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { writeSampleTree } from '../harness/sample-tree.ts';
import { makeWorld } from '../harness/world.ts';

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  flipped: (file) => {
    const bytes = readFileSync(file);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
    writeFileSync(file, bytes);
  },
  truncated: (file) => {
    truncateSync(file, readFileSync(file).length - 20);
  },
  emptied: (file) => {
    truncateSync(file, 0);
  },
  deleted: (file) => {
    rmSync(file);
  },
  'of something else': (file) => {
    writeFileSync(file, 'this is no manifest\n');
  },
  'of another run': (file) => {
    copyFileSync(file.replace(/_02\.impl$/, '_01.impl'), file);
  },
};

const IS_WHOLE = process.env['BAKKER_TEST_ALL'] === '1';

for (const kind of ['plain', 'local', 'shell'] as const) {
  for (const [name, damage] of Object.entries(DAMAGES)) {
    // Every day each damage once, and the two most different ones everywhere.
    if (!IS_WHOLE && kind !== 'shell' && name !== 'flipped' && name !== 'deleted') continue;
    t.test(`a manifest ${name} marks its run as damaged, and the next backup works (${kind})`, async (t) => {
      await using world = await makeWorld({ kind });
      writeSampleTree(world.source, { files: 40 });
      const first = await world.backup();
      appendFileSync(`${world.source}/folder 0/file 1`, 'changed');
      const second = await world.backup();
      damage(`${world.storage}/${second.run}.impl`);

      const listed = await world.list();
      t.same(
        listed.map(({ run, status }) => [run, status]),
        [
          [first.run, 'complete'],
          [second.run, 'damaged'],
        ],
      );
      const { runs } = await world.verify([], 15);
      t.same(runs.find(({ run }) => run === first.run)?.damaged, []);
      t.not(runs.find(({ run }) => run === second.run)?.damaged.length, 0);

      writeFileSync(`${world.source}/folder 0/new`, 'new');
      const third = await world.expect(['backup', '--json']);
      const report = third.json<{ run: string; parent: string; warnings: string[] }>();
      t.equal(report.parent, first.run, 'the damaged run is no parent');
      t.match(`${report.warnings.join('\n')}\n${third.stderr}`, second.run ?? '', 'and that is said');
      t.same(await compareTrees(world.source, await world.restore(report.run)), []);
      t.same(await compareTrees(world.source, await world.restore('latest')), []);
    });
  }
}

t.test('the only run being damaged, the next backup has no parent', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 40 });
  const first = await world.backup();
  rmSync(`${world.storage}/${first.run}.impl`);
  const second = await world.backup();
  t.equal(second.parent, null);
  t.equal(second.files.unchanged, 0);
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test('verify finds content, sizes and names that are not as the manifest says', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 40 });
  const { run } = await world.backup();
  const inRun = `${world.storage}/${run}${world.source}/folder 0`;
  const flipped = readFileSync(`${inRun}/file 3`);
  flipped[0] = (flipped[0] ?? 0) ^ 1;
  writeFileSync(`${inRun}/file 3`, flipped);
  t.same((await world.verify()).runs[0]?.damaged, [], 'a look at the structure reads no content');
  const byData = await world.verify(['--data'], 15);
  t.same(
    byData.runs[0]?.damaged.map(({ path }) => path),
    [`${world.source}/folder 0/file 3`],
  );

  appendFileSync(`${inRun}/file 4`, 'x');
  rmSync(`${inRun}/file 5`);
  const byStructure = await world.verify([], 15);
  t.same(
    byStructure.runs[0]?.damaged.map(({ path }) => path).sort(),
    [4, 5].map((index) => `${world.source}/folder 0/file ${index}`),
  );
  const afterwards = await world.expect(
    ['restore', '--from', 'latest', '--to', `${world.bakker.folder}/out`],
    15,
  );
  t.match(
    afterwards.stdout + afterwards.stderr,
    /file 3/,
    'a restore never passes damaged content off as good',
  );
});
