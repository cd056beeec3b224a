import t from 'tap';
import { writeSampleTree } from './harness/sample-tree.ts';
import { makeWorld } from './harness/world.ts';

t.test(
  'a server that finds the runs of another one in its account says so, once if it was renamed',
  async (t) => {
    await using world = await makeWorld();
    writeSampleTree(world.source, { files: 5 });
    t.same((await world.backup()).warnings, []);
    const through = ['unshare', '--uts', 'sh', '-c', 'hostname other.example && exec "$@"', 'sh'];
    const backUp = async () => {
      const result = await world.expect(['backup', '--json'], 0, { through });
      return result.json<{ run: string; warnings: string[] }>();
    };
    const first = await backUp();
    t.match(first.warnings, [/this is other\.example: .* account of its own/]);
    t.same((await backUp()).warnings, []);
    t.match((await world.backup()).warnings, [/is a run of other\.example, and this is/]);
  },
);
