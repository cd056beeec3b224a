import { rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { pseudoRandomBytes, writeSampleTree } from '../harness/sample-tree.ts';
import { findBrokenPromises, fingerprintRuns } from '../harness/storage-check.ts';
import { makeWorld } from '../harness/world.ts';

const MIB = 1024 * 1024;

for (const kind of ['plain', 'local', 'shell'] as const) {
  t.test(`a full ${kind} storage stops the run with exit 13 and is resumed once there is room`, async (t) => {
    await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 96 * MIB });
    const ballast = `${disk.folder}/ballast`;
    await using world = await makeWorld({ kind, storageOn: disk.folder });
    writeSampleTree(world.source, { files: 200 });
    await world.backup();
    const before = await fingerprintRuns(world.storage);

    writeFileSync(ballast, pseudoRandomBytes('ballast', 50 * MIB));
    writeSampleTree(`${world.source}/more`, { files: 300, maxBytes: 100_000, seed: 'more' });
    writeFileSync(`${world.source}/large`, pseudoRandomBytes('large', 40 * MIB));
    const full = await world.expect(['backup', '--json'], 13);
    t.match(full.stderr, /full|space/i);
    t.same(findBrokenPromises(world.storage), []);
    t.same(await fingerprintRuns(world.storage), before, 'older runs are intact');

    rmSync(ballast);
    const report = await world.backup();
    t.equal(report.status, 'complete');
    t.same(findBrokenPromises(world.storage), []);
    t.same(await compareTrees(world.source, await world.restore()), []);
    for (const [run, print] of before) t.equal((await fingerprintRuns(world.storage)).get(run), print);
  });
}

t.test('a storage without inodes left is full too', async (t) => {
  await using disk = await mountLoopFilesystem({
    type: 'ext4',
    sizeBytes: 32 * MIB,
    mkfsArgs: ['-N', '256'],
  });
  await using world = await makeWorld({ storageOn: disk.folder });
  writeSampleTree(world.source, { files: 400 });
  const full = await world.expect(['backup', '--json'], 13);
  t.match(full.stderr, /full|space|inode/i);
  t.same(findBrokenPromises(world.storage), []);
});
