import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { openFolder } from '@bakker/linux';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { listFolder } from '../../src/adapters/tree/list-folder.ts';
import { TreeSlices } from '../../src/adapters/tree/tree-slices.ts';
import { TreeThreads } from '../../src/adapters/tree/tree-threads.ts';

const NAMES = 20_000;
/** Those that wait, and what two threads tell at once. */
const MOST_WAITING = 2000 + 2 * 500;

t.test('whoever finds files that take no more names waits while they are copied', async (t) => {
  await using filesystem = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 256e6 });
  const top = filesystem.folder;
  for (const name of ['parent', 'links']) mkdirSync(join(top, name));
  const file = join(top, 'parent/0');
  writeFileSync(file, 'content');
  for (let i = 1; i < NAMES; i++) linkSync(file, join(top, `parent/${i}`));
  for (let i = NAMES; i < 65_000; i++) linkSync(file, join(top, `links/${i}`));

  for (const Cloner of [TreeSlices, TreeThreads]) {
    for (const isDisposedEarly of [false, true]) {
      const what = `${Cloner.name}${isDisposedEarly ? ', given up' : ''}`;
      mkdirSync(join(top, what));
      using parent = openFolder(Buffer.from(join(top, 'parent')));
      using run = openFolder(Buffer.from(join(top, what)));
      let waiting = 0;
      let told = 0;
      let most = 0;
      let isDone = false;
      {
        await using cloner = new Cloner({
          ...{ parent, run, hurtInodes: new Set(), measures: 'kept', emptyFolderBytes: undefined },
          done: () => (isDone = true),
          shared: () => undefined,
          full(_group, files) {
            told += files.length;
            waiting += files.length;
            most = Math.max(most, waiting);
          },
          grown: () => undefined,
          made: () => undefined,
          failed: (error) => t.fail(String(error)),
        });
        using listed = listFolder(parent, Buffer.alloc(0));
        const { count, memory } = listed.listing;
        cloner.submit({
          ...{ group: 1, kind: 'keep', path: Buffer.alloc(0), listing: memory, from: 0, to: count },
          isBegun: false,
        });
        while (told < 2000) await delay(10);
        await delay(1000); // whoever does not wait tells many more
        t.ok(told <= MOST_WAITING, `${what}: ${told} told and none copied`);
        while (!isDisposedEarly && (!isDone || waiting > 0)) {
          for (let i = 0; i < 100 && waiting > 0; i++, waiting--) cloner.copied();
          await delay(1);
        }
      }
      if (!isDisposedEarly) t.equal(told, NAMES, `${what}: all in the end`);
      t.ok(most <= MOST_WAITING, `${what}: ${most} waited`);
    }
  }
});
