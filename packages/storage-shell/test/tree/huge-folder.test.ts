import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { openFolder } from '@bakker/linux';
import { walkTree } from '../../src/adapters/runs/walk-tree.ts';
import { FolderWalk } from '../../src/adapters/tree/folder-walk.ts';
import { listFolder } from '../../src/adapters/tree/list-folder.ts';
import { ParentCursor } from '../../src/adapters/tree/parent-cursor.ts';

const NEVER = new AbortController().signal;
const NAMES = 20_000;
/** What the kernel gives at once; a listing of all names takes 5 MB. */
const MOST_BYTES = 256 * 1024;

function folderOf(t: Test): string {
  const top = mkdtempSync(join(tmpdir(), 'bakker-huge-'));
  t.teardown(() => rmSync(top, { recursive: true }));
  return top;
}

function fill(folder: string, count: number): void {
  mkdirSync(folder);
  for (let i = 0; i < count; i++) {
    const name = `${i}-`.padEnd(255, 'n');
    if (i === 0) writeFileSync(join(folder, name), '');
    else linkSync(join(folder, '0-'.padEnd(255, 'n')), join(folder, name));
  }
}

/** The largest piece of memory that a listing was made in. */
let most = 0;
globalThis.SharedArrayBuffer = class extends SharedArrayBuffer {
  constructor(sizeBytes?: number) {
    super(sizeBytes);
    most = Math.max(most, this.byteLength);
  }
};

t.test('a folder of very many long names is walked and kept without holding them', async (t) => {
  const top = folderOf(t);
  mkdirSync(join(top, 'parent'));
  fill(join(top, 'parent/huge'), NAMES);
  mkdirSync(join(top, 'parent/huge/below'));
  writeFileSync(join(top, 'parent/huge/below/file'), '');
  mkdirSync(join(top, 'run'));
  using parent = openFolder(Buffer.from(join(top, 'parent')));
  using run = openFolder(Buffer.from(join(top, 'run')));

  let files = 0;
  await walkTree(parent, { entry: () => void files++ }, { signal: NEVER });
  t.equal(files, NAMES + 1, 'each once');
  t.ok(most < MOST_BYTES, `${most} bytes at once by a walk`);

  const walk = new FolderWalk({
    ...{ parent, run, hurtInodes: new Set<bigint>(), measures: 'kept', emptyFolderBytes: undefined },
    isStopped: () => false,
    claimWanted: () => false,
    share: () => undefined,
    full: () => t.fail('no file is full'),
    grown: () => undefined,
    made: () => undefined,
  });
  using listed = listFolder(parent, Buffer.alloc(0));
  const { count, memory } = listed.listing;
  const job = { group: 1, kind: 'keep' as const, path: Buffer.alloc(0), listing: memory, from: 0, to: count };
  most = 0;
  const walking = walk.steps({ ...job, isBegun: false });
  for (;;) {
    const { done, value } = walking.next();
    if (done !== true) continue;
    t.match(value, { files: NAMES + 1, directories: 2 });
    break;
  }
  t.ok(most < MOST_BYTES, `${most} bytes at once by a clone`);
});

t.test('folders that a path leads into are listed up to so many bytes, and then refused', async (t) => {
  const top = folderOf(t);
  fill(join(top, 'a'), 1000);
  fill(join(top, 'a/b'), 1000);
  using parent = openFolder(Buffer.from(top));
  const sink = { keep: () => undefined, drop: () => undefined, folder: () => undefined };
  const cursor = (mostBytes: number): ParentCursor => new ParentCursor(parent, sink, mostBytes);
  const path = Buffer.from('a/b/c');
  t.doesNotThrow(() => cursor(600_000).keepUntil(path));
  t.doesNotThrow(() => cursor(300_000).keepUntil(Buffer.from('a/b')), 'one of them');
  t.throws(() => cursor(300_000).keepUntil(path), { code: 'FAILED' }, 'both together');
});
