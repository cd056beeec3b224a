import { chmodSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { makeSealedWorld } from '../harness/sealed-world.ts';
import { makeTortureTree } from '../harness/torture-tree.ts';

const GIB = 1024 ** 3;

for (const kind of ['plain', 'local', 'shell'] as const) {
  t.test(
    `the whole torture tree at full size comes back sealed, with hidden names, from ${kind} storage`,
    async (t) => {
      // ext4 takes 65,000 links; XFS holds the source and what is restored.
      await using sourceDisk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 2 * GIB });
      await using restoreDisk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 2 * GIB });
      await using disk = await mountLoopFilesystem({
        type: 'ext4',
        sizeBytes: 2 * GIB,
        mkfsArgs: ['-N', '600000'],
      });
      chmodSync(sourceDisk.folder, 0o755);
      await using world = await makeSealedWorld({
        kind,
        hideNames: true,
        storageOn: disk.folder,
        config: { sources: [sourceDisk.folder] },
      });
      await makeTortureTree(sourceDisk.folder, { hardLinks: 65_001, manyEntries: 100_000 });
      const report = await world.backup();
      t.equal(report.status, 'complete');
      await world.expect(['restore', '--from', 'latest', '--to', restoreDisk.folder, ...world.key]);
      t.same(await compareTrees(sourceDisk.folder, `${restoreDisk.folder}${sourceDisk.folder}`), []);
      const second = await world.backup();
      t.equal(second.files.unchanged, report.files.total);
      t.same(second.warnings, []);
      const { runs } = await world.verify(['--data', ...world.key]);
      for (const { damaged } of runs) t.same(damaged, []);
    },
  );
}
