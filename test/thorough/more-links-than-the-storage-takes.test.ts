import { chmodSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { makeTortureTree } from '../harness/torture-tree.ts';
import { findBrokenPromises } from '../harness/storage-check.ts';
import { makeWorld } from '../harness/world.ts';

const MIB = 1024 * 1024;

for (const kind of ['plain', 'local', 'shell'] as const) {
  t.test(
    `65,001 names of one file go to an ext4 that takes 65,000, and come back as one (${kind})`,
    async (t) => {
      // ext4 could not hold the source; XFS can.
      await using sourceDisk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 600 * MIB });
      await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 600 * MIB });
      chmodSync(sourceDisk.folder, 0o755);
      await using world = await makeWorld({
        kind,
        storageOn: disk.folder,
        config: { sources: [sourceDisk.folder] },
      });
      await makeTortureTree(sourceDisk.folder, { hardLinks: 65_001 });
      for (let run = 1; run <= 2; run += 1) {
        const report = await world.backup();
        t.equal(report.status, 'complete');
        t.same(findBrokenPromises(world.storage), []);
        // The second one links what the first one copied: it shows both.
        if (run === 1) continue;
        await using restoreDisk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 600 * MIB });
        await world.expect(['restore', '--from', 'latest', '--to', restoreDisk.folder]);
        t.same(await compareTrees(sourceDisk.folder, `${restoreDisk.folder}${sourceDisk.folder}`), []);
      }
    },
  );
}
