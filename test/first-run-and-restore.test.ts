import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { findBrokenPromises } from './harness/storage-check.ts';
import { makeTortureTree } from './harness/torture-tree.ts';
import { makeWorld, STORAGE_KINDS } from './harness/world.ts';

for (const kind of STORAGE_KINDS) {
  t.test(
    `a torture tree comes back from ${kind} storage byte for byte, attribute for attribute`,
    async (t) => {
      await using world = await makeWorld({ kind });
      await makeTortureTree(world.source);

      const first = await world.backup();
      t.equal(first.status, 'complete');
      t.equal(first.files.unreadable, 0);
      t.same(first.warnings, []);
      t.same(findBrokenPromises(world.storage), []);
      t.same(await compareTrees(world.source, await world.restore()), []);

      const second = await world.backup();
      t.equal(second.files.new + second.files.changed + second.files.metadata + second.files.gone, 0);
      t.equal(second.files.unchanged, second.files.total);
      t.same(findBrokenPromises(world.storage), []);
      t.same(await compareTrees(world.source, await world.restore()), []);

      const { runs } = await world.verify(['--data']);
      t.same(
        runs.map((run) => run.damaged),
        [[], []],
      );
    },
  );
}
