import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { writeSampleTree } from '../harness/sample-tree.ts';
import { completeRuns, findBrokenPromises } from '../harness/storage-check.ts';
import { makeWorld } from '../harness/world.ts';

const KIB = 1024;
const PAGE_BYTES = 4096;

for (const kind of ['local', 'shell'] as const) {
  t.test(`a damaged copy of the last manifest is had from the storage again (${kind})`, async (t) => {
    await using world = await makeWorld({ kind });
    writeSampleTree(world.source, { files: 40 });
    await world.backup();
    const kept = `${world.bakker.stateDir}/kept`;
    for (const at of [0.1, 0.5, 0.99]) {
      const name = readdirSync(kept).find((name) => name.endsWith('.impl'));
      const bytes = readFileSync(`${kept}/${name}`);
      const place = Math.floor(bytes.length * at);
      bytes[place] = (bytes[place] ?? 0) ^ 0x5a;
      writeFileSync(`${kept}/${name}`, bytes);
      appendFileSync(`${world.source}/folder 0/file 1`, 'changed');
      const report = await world.backup();
      t.match(report.warnings, [/kept.*damaged/]);
      t.match(report.files, { changed: 1, unchanged: 39 });
    }
    t.same((await world.backup()).warnings, []);
    t.same(await compareTrees(world.source, await world.restore()), []);
  });
}

t.test('a catalogue with a damaged page never keeps a server from being backed up', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 400 });
  await world.backup();
  const file = `${world.bakker.stateDir}/catalogue.sqlite`;
  const pages = statSync(file).size / PAGE_BYTES;
  t.ok(pages >= 8);
  for (let page = 0; page < pages; page += Math.ceil(pages / 12)) {
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, Buffer.alloc(PAGE_BYTES, 0xa5), 0, PAGE_BYTES, page * PAGE_BYTES);
    closeSync(descriptor);
    // Old content under a new name, and new content: both have to be looked up.
    writeFileSync(`${world.source}/again ${page}`, readFileSync(`${world.source}/folder 0/file 3`));
    writeFileSync(`${world.source}/new ${page}`, `new ${page}`);
    t.equal((await world.backup()).status, 'complete', `page ${page}`);
  }
  t.same(await compareTrees(world.source, await world.restore()), []);
});

t.test(
  'a state folder without room: no run is published that fails, and none fails that is published',
  async (t) => {
    await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 8 * 1024 * KIB });
    await using world = await makeWorld({ kind: 'local' });
    symlinkSync(disk.folder, world.bakker.stateDir);
    writeSampleTree(world.source, { files: 400 });
    const outcomes = new Set<number>();
    let runs = 0;
    for (let freeKib = 0; freeKib <= 480; freeKib += 24) {
      for (const name of readdirSync(disk.folder)) rmSync(`${disk.folder}/${name}`, { recursive: true });
      const ballast = fill(`${disk.folder}/ballast`);
      ftruncateSync(ballast.descriptor, Math.max(0, ballast.sizeBytes - freeKib * KIB));
      closeSync(ballast.descriptor);
      const { status = -1, stderr } = await world.bakker.run(['backup', '--json', '--force']);
      outcomes.add(status);
      if (status === 0) runs++;
      else t.match(stderr, /state folder .* without room/, `${freeKib} KiB`);
      t.equal(completeRuns(world.storage).length, runs, `${freeKib} KiB: status ${status}`);
      t.same(findBrokenPromises(world.storage), []);
    }
    t.same([...outcomes].sort(), [0, 2], 'some of either kind, or this shows nothing');
    t.same(await compareTrees(world.source, await world.restore()), []);
  },
);

t.test('a state folder that is in use, and has no room for more, is said to have none', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 8 * 1024 * KIB });
  await using world = await makeWorld({ kind: 'shell' });
  symlinkSync(disk.folder, world.bakker.stateDir);
  writeSampleTree(world.source, { files: 400 });
  await world.backup();
  const outcomes = new Set<number>();
  for (const freeKib of [0, 4, 8, 16, 32, 48, 64, 96, 128, 256]) {
    for (let index = 0; index < 300; index += 1) writeFileSync(`${world.source}/n${index}`, `${freeKib}`);
    const ballast = fill(`${disk.folder}/ballast`);
    ftruncateSync(ballast.descriptor, Math.max(0, ballast.sizeBytes - freeKib * KIB));
    closeSync(ballast.descriptor);
    const { status = -1, stderr } = await world.bakker.run(['backup', '--json']);
    rmSync(`${disk.folder}/ballast`);
    outcomes.add(status);
    if (status !== 0 || stderr.includes('warning'))
      t.match(stderr, /state folder .* without room/, `${freeKib} KiB`);
    t.equal((await world.backup()).status, 'complete');
  }
  t.same([...outcomes].sort(), [0, 2], 'some of either kind, or this shows nothing');
});

/** Takes all the room that is left. */
function fill(file: string): { descriptor: number; sizeBytes: number } {
  const descriptor = openSync(file, 'w');
  const piece = Buffer.alloc(4 * KIB, 1);
  let sizeBytes = 0;
  try {
    for (;;) sizeBytes += writeSync(descriptor, piece);
  } catch {
    return { descriptor, sizeBytes };
  }
}
