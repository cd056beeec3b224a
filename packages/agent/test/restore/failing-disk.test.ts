import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { mountThinDisk } from '../../../../test/harness/thin-disk.ts';
import { WrittenFilesystems } from '../../src/adapters/restore/written-filesystems.ts';
import { openFolder } from '@bakker/linux';

const MIB = 2 ** 20;

t.test('a restore does not end well on a disk that failed an early flush', async (t) => {
  await using disk = await mountThinDisk();
  mkdirSync(`${disk.folder}/target`);
  using folder = openFolder(Buffer.from(`${disk.folder}/target`));
  await using written = new WrittenFilesystems();
  written.note(1n, folder);
  disk.exhaust();
  for (let index = 0; index < 8; index++) {
    writeFileSync(`${disk.folder}/target/${index}`, Buffer.alloc(8 * MIB, 7));
    written.wrote(1n, 8 * MIB);
  }
  // The early flush is on a thread, and done when nothing is left to be written. Either of the two may come first, and be told alone.
  spawnSync('sync', ['-f', disk.folder], { stdio: 'ignore' });
  await delay(500);
  disk.relieve();
  await t.rejects(written.flush(), { code: /ENOSPC|EIO/ });
  await t.rejects(written.flush(), { code: /ENOSPC|EIO/ });
});
