import t from 'tap';
import type { TargetItem } from '../../src/ports/restore-target.ts';
import { decide, decideFolder, type Overwrite } from '../../src/restore/decide.ts';
import { entryOf } from './entries.ts';

const ENTRY = entryOf('a', { sizeBytes: 5, mtimeNs: 100n });
const SAME: TargetItem = {
  type: 'file',
  sizeBytes: 5,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeNs: 100n,
  linkCount: 1,
  filesystem: 1n,
  inode: 1n,
};
const OLDER: TargetItem = { ...SAME, mtimeNs: 99n };
const NEWER: TargetItem = { ...SAME, mtimeNs: 101n };
const OTHER_SIZE: TargetItem = { ...SAME, sizeBytes: 6 };
const FOLDER: TargetItem = { ...SAME, type: 'directory' };

const TABLE: Record<Overwrite, Record<string, string>> = {
  always: {
    none: 'create',
    same: 'replace',
    older: 'replace',
    newer: 'replace',
    size: 'replace',
    folder: 'replace',
  },
  'if-changed': {
    none: 'create',
    same: 'same',
    older: 'replace',
    newer: 'replace',
    size: 'replace',
    folder: 'replace',
  },
  'if-newer': {
    none: 'create',
    same: 'keep',
    older: 'replace',
    newer: 'keep',
    size: 'keep',
    folder: 'blocked',
  },
  never: { none: 'create', same: 'keep', older: 'keep', newer: 'keep', size: 'keep', folder: 'keep' },
};
const ITEMS: Record<string, TargetItem | undefined> = {
  none: undefined,
  same: SAME,
  older: OLDER,
  newer: NEWER,
  size: OTHER_SIZE,
  folder: FOLDER,
};

for (const [overwrite, row] of Object.entries(TABLE)) {
  t.test(`--overwrite ${overwrite} decides about a file as the table says`, async (t) => {
    for (const [name, expected] of Object.entries(row)) {
      const decision = decide(ENTRY, ITEMS[name], {
        overwrite: overwrite as Overwrite,
        isSameThing: () => true,
      });
      t.equal(decision, expected, name);
    }
  });
}

t.test('a symlink is the same when its target is, whatever its time', async (t) => {
  const link = entryOf('a', { type: 'symlink', mtimeNs: 1n });
  const existing: TargetItem = { ...SAME, type: 'symlink' };
  const by = (isSame: boolean) =>
    decide(link, existing, { overwrite: 'if-changed', isSameThing: () => isSame });
  t.equal(by(true), 'same');
  t.equal(by(false), 'replace');
});

t.test('a folder is entered, and only always and if-changed clear its place', async (t) => {
  t.equal(decideFolder(undefined, 'never'), 'create');
  t.equal(decideFolder(FOLDER, 'if-newer'), 'same');
  t.equal(decideFolder(FOLDER, 'never'), 'keep');
  t.equal(decideFolder(SAME, 'if-changed'), 'replace');
  t.equal(decideFolder(SAME, 'always'), 'replace');
  t.equal(decideFolder(SAME, 'if-newer'), 'blocked');
  t.equal(decideFolder(SAME, 'never'), 'blocked');
});
