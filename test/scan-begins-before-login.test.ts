import { chownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { settle, writeSampleTree } from './harness/sample-tree.ts';
import { makeWorld } from './harness/world.ts';

const NOBODY = 65_534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

interface Report {
  readonly run: string;
  readonly parent: string | null;
  readonly files: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
}

t.test(
  'a scan that was begun beside a run that is gone there is begun anew, and says all once',
  async (t) => {
    await using world = await makeWorld({ kind: 'local' });
    writeSampleTree(world.source, { files: 3000, filesPerFolder: 100, maxBytes: 100 });
    mkdirSync(`${world.source}/closed`, { mode: 0o700 });
    mkdirSync(world.bakker.stateDir);
    for (const folder of [world.storage, world.bakker.stateDir]) chownSync(folder, NOBODY, NOBODY);
    const backup = async (): Promise<Report> =>
      (await world.expect(['backup', '--json'], 3, { through: AS_NOBODY })).json<Report>();
    await settle();
    const first = await backup();
    writeFileSync(`${world.source}/folder 1/later`, 'only the second run has it');
    const second = await backup();
    t.equal(second.parent, first.run);

    rmSync(`${world.storage}/${second.run}`, { recursive: true });
    rmSync(`${world.storage}/${second.run}.impl`);
    rmSync(`${world.storage}/latest`);
    symlinkSync(first.run, `${world.storage}/latest`);
    renameSync(`${world.source}/folder 2`, `${world.source}/moved`);
    const third = await backup();
    t.equal(third.parent, first.run);
    t.match(third.files, { new: 1, moved: 100, gone: 0, unchanged: 2900, unreadable: 1 });
    t.equal(third.warnings.filter((text) => text.includes('closed')).length, 1, third.warnings.join('\n'));

    rmSync(`${world.source}/closed`, { recursive: true });
    const fourth = await world.expect(['backup', '--json'], 0, { through: AS_NOBODY });
    t.match(fourth.json(), {
      parent: third.run,
      files: { unchanged: 3001, gone: 0 },
      warnings: { length: 0 },
    });
    t.same(await compareTrees(world.source, await world.restore()), []);
  },
);
