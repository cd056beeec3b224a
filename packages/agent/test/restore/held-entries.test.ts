import t from 'tap';
import type { Entry } from '@bakker/impl-format';
import type { TargetFolder } from '../../src/ports/restore-target.ts';
import type { FolderNode, FolderWalk } from '../../src/restore/folder-walk.ts';
import { FilePlacer } from '../../src/restore/place-files.ts';
import type { RestoreContext } from '../../src/restore/restore-job.ts';
import { RestoreReport } from '../../src/restore/restore-report.ts';
import { entryOf } from './entries.ts';
import { SILENT } from './world.ts';

const MEMORY_BYTES = 16 * 1024 * 1024;
/** About one MiB of attributes. */
const HEAVY: Partial<Entry> = {
  xattrs: Array.from({ length: 16 }, (_, index) => ({
    name: Buffer.from(`user.${String.fromCharCode(97 + index)}`),
    value: Buffer.alloc(65_536),
  })),
};

/** How many entries a restore takes before it waits for a storage that never answers. */
function takenOf(entryAt: (index: number) => Entry): number {
  const folder = { isNew: true } as unknown as TargetFolder;
  const node = { path: Buffer.alloc(0), folder, isBlocked: false } as unknown as FolderNode;
  const walk = {
    lingeringCount: 0,
    hold: () => undefined,
    release: () => undefined,
  } as unknown as FolderWalk;
  const context = {
    job: { run: '2024_04_19_01', memoryBytes: MEMORY_BYTES, overwrite: 'always', numericOwner: true },
    ports: {
      account: { readFile: () => new Promise(() => undefined) },
      overflow: async () => {
        throw new Error('too few names for it');
      },
      target: {},
      progress: SILENT,
      signal: new AbortController().signal,
    },
    tree: undefined,
    report: new RestoreReport(),
  } as unknown as RestoreContext;
  using files = new FilePlacer(context, walk);
  let taken = 0;
  while (taken < 100_000 && files.room() === undefined) files.place(node, entryAt(taken++));
  return taken;
}

t.test('entries wait for their contents by their weight', (t) => {
  const file = { sizeBytes: 10, sha256: Buffer.alloc(32) };
  const at = (said: Partial<Entry>) => takenOf((index) => entryOf(`f${index}`, { ...file, ...said }));
  t.equal(at({}), 256);
  t.ok(at(HEAVY) <= 10, String(at(HEAVY)));
  t.end();
});

t.test('names wait for the first of their group by their weight', (t) => {
  const link = { sizeBytes: 10, sha256: Buffer.alloc(32), linkCount: 1_000_000 };
  const at = (said: Partial<Entry>) => takenOf((index) => entryOf(`f${index}`, { ...link, ...said }));
  t.ok(at({}) > 10_000 && at({}) < 100_000, String(at({})));
  t.ok(at(HEAVY) <= 20, String(at(HEAVY)));
  t.end();
});
