import { execFileSync } from 'node:child_process';
import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from './harness/loop-fs.ts';
import { pseudoRandomBytes, settle } from './harness/sample-tree.ts';
import { findBrokenPromises } from './harness/storage-check.ts';
import { makeWorld, type World } from './harness/world.ts';

const MIB = 1024 * 1024;
const BLOCK = 64 * 1024;

const PLACES = [
  { kind: 'local', type: 'ext4' },
  { kind: 'local', type: 'xfs' },
  { kind: 'plain', type: 'ext4' },
  { kind: 'plain', type: 'btrfs' },
  { kind: 'shell', type: 'ext4' },
  { kind: 'shell', type: 'xfs' },
] as const;

for (const { kind, type } of PLACES) {
  t.test(
    `changed blocks alone are sent, and every run is the file of its day: ${kind}, ${type}`,
    async (t) => {
      await using disk = await mountLoopFilesystem({ type, sizeBytes: 512 * MIB });
      await using world = await makeWorld({ kind, storageOn: disk.folder });
      const sparse = `${world.source}/sparse`;
      const image = `${world.source}/image`;
      const log = `${world.source}/log`;
      write(image, 0, pseudoRandomBytes('image', 12 * MIB));
      write(log, 0, pseudoRandomBytes('log', 9 * MIB + 12_345));
      write(sparse, 5 * MIB, pseudoRandomBytes('sparse', MIB));
      truncateSync(sparse, 20 * MIB);
      await settle();
      t.equal((await world.backup()).files.new, 3);

      for (const index of [3, 90, 191]) write(image, index * BLOCK, pseudoRandomBytes(`new ${index}`, BLOCK));
      write(log, 9 * MIB + 12_345, pseudoRandomBytes('more', 100_000));
      write(sparse, 10 * MIB, pseudoRandomBytes('filled', BLOCK));
      await settle();
      const usedBefore = usedBytes(disk.folder);
      const report = await world.backup();
      t.match(report.files, { changed: 3, new: 0 });
      t.ok(report.bytes.sent <= 4 * BLOCK + 100_000 + 2 * BLOCK, `${report.bytes.sent} bytes were sent`);
      if (type !== 'ext4' && kind !== 'plain') {
        const added = usedBytes(disk.folder) - usedBefore;
        t.ok(added < 3 * MIB, `blocks are shared: ${added} bytes were added`);
      }
      await compareLatest(t, world);
      t.same(findBrokenPromises(world.storage), []);
    },
  );
}

function write(file: string, offsetBytes: number, bytes: Buffer): void {
  const descriptor = openSync(file, 'a+');
  closeSync(descriptor);
  const writing = openSync(file, 'r+');
  try {
    for (let done = 0; done < bytes.length;)
      done += writeSync(writing, bytes, done, bytes.length - done, offsetBytes + done);
  } finally {
    closeSync(writing);
  }
}

function usedBytes(folder: string): number {
  execFileSync('sync', ['-f', folder]);
  const text = execFileSync('df', ['--output=used', '-B1', folder], { encoding: 'utf8' });
  return Number(text.split('\n')[1]);
}

async function compareLatest(_t: unknown, world: World): Promise<void> {
  const restored = await world.restore();
  execFileSync('diff', ['-r', world.source, restored]);
}
