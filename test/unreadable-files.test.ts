import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { mountLoopFilesystem } from './harness/loop-fs.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { makeWorld } from './harness/world.ts';

const NOBODY = 65_534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

t.test('files that may not be read are named, the rest is published, and the run exits 3', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 10 });
  for (const name of ['secret', 'also \x1b[31msecret']) {
    writeFileSync(`${world.source}/${name}`, name);
    chmodSync(`${world.source}/${name}`, 0o600);
  }
  mkdirSync(`${world.source}/closed`, { mode: 0o700 });
  writeFileSync(`${world.source}/closed/inside`, 'inside');
  mkdirSync(world.bakker.stateDir);
  for (const folder of [world.storage, world.bakker.stateDir]) chownSync(folder, NOBODY, NOBODY);

  const result = await world.expect(['backup', '--json'], 3, { through: AS_NOBODY });
  const report = result.json<{ status: string; files: { unreadable: number }; warnings: string[] }>();
  t.equal(report.status, 'partial');
  t.equal(report.files.unreadable, 3);
  const said = `${report.warnings.join('\n')}\n${result.stderr}`;
  t.match(said, `${world.source}/secret`);
  t.match(said, `${world.source}/closed`);
  t.notMatch(result.stderr, '\x1b', 'no name reaches a terminal raw');
  const [listed] = (await world.expect(['list', '--json'], 0, { through: AS_NOBODY })).json<
    { status: string }[]
  >();
  t.equal(listed?.status, 'partial');

  chmodSync(`${world.source}/secret`, 0o644);
  chmodSync(`${world.source}/also \x1b[31msecret`, 0o644);
  chmodSync(`${world.source}/closed`, 0o755);
  const second = await world.expect(['backup', '--json'], 0, { through: AS_NOBODY });
  t.match(second.json(), { status: 'complete', files: { unreadable: 0 } });
  t.same(await compareTrees(world.source, await world.restore()), []);
});

for (const kind of ['local', 'shell'] as const) {
  t.test(
    `a large file with a long path that may not be read leaves a sound run on ${kind} storage`,
    async (t) => {
      await using world = await makeWorld({ kind });
      const dig = [
        'import os',
        "for _ in range(16): os.mkdir('f' * 240); os.chdir('f' * 240)",
        "open('l' * 190, 'wb').write(bytes(range(256)) * 2000)",
        "os.chmod('l' * 190, 0o600)",
      ];
      execFileSync('python3', ['-c', dig.join('\n')], { cwd: world.source });
      mkdirSync(world.bakker.stateDir);
      const { identityFile } = world.account ?? {};
      for (const own of [world.bakker.stateDir, identityFile ?? world.storage])
        chownSync(own, NOBODY, NOBODY);
      const through = { through: AS_NOBODY };
      const result = await world.expect(['backup', '--json'], 3, through);
      t.match(result.json(), { status: 'partial', files: { unreadable: 1 } });
      const verified = await world.expect(['verify', '--data', '--json'], 0, through);
      t.match(verified.json(), { runs: [{ damaged: { length: 0 } }] });
    },
  );
}

t.test('what a run can hold nothing of is named and counted: it is no complete run', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 512 << 20 });
  await using world = await makeWorld({ kind: 'local', config: { sources: [disk.folder] } });
  writeFileSync(`${disk.folder}/file`, 'file');
  execFileSync('truncate', ['-s', String(2n ** 53n), `${disk.folder}/endless`]);
  const dig = "import os\nfor _ in range(17): os.mkdir('f' * 240); os.chdir('f' * 240)";
  execFileSync('python3', ['-c', dig], { cwd: disk.folder });
  const result = await world.expect(['backup', '--json'], 3);
  const report = result.json<{ status: string; files: { unreadable: number }; warnings: string[] }>();
  t.match(report, { status: 'partial', files: { total: 1, unreadable: 2 } });
  t.match(report.warnings.join('\n'), /endless is not in this run: .*EFBIG/);
  t.match(report.warnings.join('\n'), /is not in this run: .*ENAMETOOLONG/);
  t.match(await world.list(), [{ status: 'partial', files: 1 }]);
});

t.test(
  'a user without root backs up and restores what is his, and is told what could not be set',
  async (t) => {
    await using world = await makeWorld({ kind: 'local' });
    writeSampleTree(world.source, { files: 10 });
    chownSync(`${world.source}/folder 0/file 3`, 1, 1);
    mkdirSync(world.bakker.stateDir);
    mkdirSync(`${world.bakker.folder}/out`);
    for (const name of ['storage', 'state', 'out'])
      chownSync(`${world.bakker.folder}/${name}`, NOBODY, NOBODY);
    await world.expect(['backup', '--json'], 0, { through: AS_NOBODY });
    const target = `${world.bakker.folder}/out/tree`;
    const restored = await world.bakker.run(['restore', '--from', 'latest', '--to', target], {
      through: AS_NOBODY,
    });
    t.ok(restored.status === 0 || restored.status === 3, `status ${restored.status}\n${restored.stderr}`);
    t.match(restored.stdout + restored.stderr, /owner/i);
    t.same(await compareTrees(world.source, `${target}${world.source}`, { owners: false }), []);
  },
);
