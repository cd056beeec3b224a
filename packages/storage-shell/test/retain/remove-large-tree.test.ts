import t from 'tap';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolder } from '@bakker/linux';
import { removeLargeTree } from '../../src/adapters/runs/remove-large-tree.ts';
import { removeTree } from '../../src/adapters/runs/remove-tree.ts';

const NAME = Buffer.from('gone');

/** As a run is: a few folders above, many below, with names of outside files, and symlinks to them. */
function makeTree(): { dir: string; top: string } {
  const dir = mkdtempSync(join(tmpdir(), 'bakker-large-'));
  mkdirSync(join(dir, 'outside'));
  writeFileSync(join(dir, 'outside/precious'), 'precious');
  const top = join(dir, 'gone/srv/data');
  for (let folder = 0; folder < 60; folder += 1) {
    const path = join(top, `folder ${folder}`, 'deeper');
    mkdirSync(path, { recursive: true });
    for (let file = 0; file < 50; file += 1) {
      linkSync(join(dir, 'outside/precious'), join(path, `link ${file}`));
      writeFileSync(join(path, `own ${file}`), 'x');
    }
    symlinkSync(join(dir, 'outside'), join(top, `folder ${folder}`, 'way out'));
  }
  return { dir, top };
}

t.test('two threads remove a tree, and nothing outside of it', async (t) => {
  const { dir } = makeTree();
  using folder = openFolder(Buffer.from(dir));
  await removeLargeTree(folder, NAME, { signal: new AbortController().signal });
  t.same(readdirSync(dir), ['outside']);
  t.same(readdirSync(join(dir, 'outside')), ['precious']);
  await removeLargeTree(folder, NAME, { signal: new AbortController().signal });
  rmSync(dir, { recursive: true });
});

t.test('a removal that is stopped is ended by the next one', async (t) => {
  const { dir } = makeTree();
  using folder = openFolder(Buffer.from(dir));
  await t.rejects(removeLargeTree(folder, NAME, { signal: AbortSignal.abort(new Error('stopped')) }), {
    message: 'stopped',
  });
  const stopping = new AbortController();
  const removal = removeLargeTree(folder, NAME, { signal: stopping.signal });
  setImmediate(() => stopping.abort(new Error('stopped in the middle')));
  await t.rejects(removal, { message: 'stopped in the middle' });
  await removeLargeTree(folder, NAME, { signal: new AbortController().signal });
  t.same(readdirSync(dir), ['outside']);
  rmSync(dir, { recursive: true });
});

t.test('what can not be removed is said, whichever thread met it, and all else can go later', async (t) => {
  const { dir, top } = makeTree();
  using folder = openFolder(Buffer.from(dir));
  for (const number of [2, 3]) {
    const mounted = join(top, `folder ${number}`, 'deeper');
    execFileSync('mount', ['-t', 'tmpfs', 'bakker-test', mounted]);
    try {
      await t.rejects(removeLargeTree(folder, NAME, { signal: new AbortController().signal }), {
        code: 'EBUSY',
      });
    } finally {
      execFileSync('umount', [mounted]);
    }
  }
  await removeLargeTree(folder, NAME, { signal: new AbortController().signal });
  t.same(readdirSync(dir), ['outside']);
  rmSync(dir, { recursive: true });
});

/** Large enough that whoever goes through it lets others have their turn in the middle of a folder; and deep. */
function makeWideTree(dir: string): void {
  const deep = join('gone', ...Array.from({ length: 200 }, () => 'deeper'));
  for (const path of [join(dir, 'gone/wide'), join(dir, deep)]) {
    mkdirSync(path, { recursive: true });
    for (let file = 0; file < 5_000; file += 1) writeFileSync(join(path, `file ${file}`), '');
  }
}

for (const remove of [removeTree, removeLargeTree]) {
  t.test(`${remove.name}: several that remove one tree at once do not fail`, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'bakker-large-'));
    using folder = openFolder(Buffer.from(dir));
    makeWideTree(dir);
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 3 }, () => remove(folder, NAME, { signal })));
    t.same(readdirSync(dir), []);
    rmSync(dir, { recursive: true });
  });
}
