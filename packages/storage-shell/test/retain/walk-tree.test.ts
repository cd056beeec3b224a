import t from 'tap';
import type { Test } from 'tap';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolder } from '@bakker/linux';
import { removeTree } from '../../src/adapters/runs/remove-tree.ts';
import { walkTree } from '../../src/adapters/runs/walk-tree.ts';

const NEVER = new AbortController().signal;

function temp(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'bakker-walk-'));
  t.teardown(async () => {
    using root = openFolder(Buffer.from(tmpdir()));
    await removeTree(root, Buffer.from(dir.slice(tmpdir().length + 1)), { signal: NEVER });
  });
  return dir;
}

/** Every entry with its path, each byte one character. */
async function listed(dir: string): Promise<string[]> {
  const path: Buffer[] = [];
  const found: string[] = [];
  const at = (name: Buffer) =>
    Buffer.concat([...path, name].flatMap((part, i) => (i ? [Buffer.from('/'), part] : [part]))).toString(
      'latin1',
    );
  using root = openFolder(Buffer.from(dir));
  await walkTree(
    root,
    {
      entry: ({ name, isFile }) => {
        found.push(`${isFile ? 'file' : 'other'} ${at(name)}`);
      },
      leave: (_parent, name) => {
        found.push(`folder ${at(name)}`);
      },
    },
    { signal: NEVER, path },
  );
  return found.sort();
}

t.test('every name is met once, with its path and its kind, whatever its bytes', async (t) => {
  const dir = temp(t);
  mkdirSync(join(dir, 'a/b'), { recursive: true });
  mkdirSync(join(dir, 'empty'));
  writeFileSync(join(dir, 'a/b/file'), 'x');
  symlinkSync('/etc', join(dir, 'a/link'));
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0x0a, 0x2e])]), '');
  t.same(
    await listed(dir),
    ['file a/b/file', 'file \xff\n.', 'folder a', 'folder a/b', 'folder empty', 'other a/link'].sort(),
  );
});

t.test('a folder of more names than one reading, beside folders, is read to its end', async (t) => {
  const dir = temp(t);
  const expected: string[] = [];
  for (let i = 0; i < 5_000; i++) {
    const name = `${'n'.repeat(60)}${i}`;
    if (i % 10 === 0) mkdirSync(join(dir, name));
    else writeFileSync(join(dir, name), '');
    expected.push(`${i % 10 === 0 ? 'folder' : 'file'} ${name}`);
  }
  t.same(await listed(dir), expected.sort());
});

t.test('a tree deeper than handles and paths go is walked, with right paths, and removed', async (t) => {
  const dir = temp(t);
  // 420 levels of 10 bytes are longer than PATH_MAX: made step by step from within.
  const levels = 420;
  let folder = openFolder(Buffer.from(dir));
  for (let level = 0; level < levels; level++) {
    const name = Buffer.from(`level_${String(level).padStart(3, '0')}`);
    writeFileSync(folder.at(Buffer.from('before')), '');
    mkdirSync(folder.at(name));
    mkdirSync(folder.at(Buffer.from('zz-side')));
    writeFileSync(folder.at(Buffer.from('zz-side/file')), '');
    const next = openFolder(folder.at(name));
    folder[Symbol.dispose]();
    folder = next;
  }
  folder[Symbol.dispose]();
  const found = await listed(dir);
  t.equal(found.length, levels * 4);
  t.equal(new Set(found).size, levels * 4);
  const deepest = Array.from(
    { length: levels - 1 },
    (_, level) => `level_${String(level).padStart(3, '0')}`,
  ).join('/');
  t.ok(found.includes(`file ${deepest}/zz-side/file`));
  t.ok(found.includes('file level_000/before'));
  using root = openFolder(Buffer.from(dir));
  await removeTree(root, Buffer.from('level_000'), { signal: NEVER });
  t.same(readdirSync(dir).sort(), ['before', 'zz-side']);
});

t.test('removal takes symlinks, and not what they point at; and counts what really goes', async (t) => {
  const dir = temp(t);
  mkdirSync(join(dir, 'outside'));
  writeFileSync(join(dir, 'outside/precious'), Buffer.alloc(10_000));
  mkdirSync(join(dir, 'gone/sub'), { recursive: true });
  symlinkSync(join(dir, 'outside'), join(dir, 'gone/link'));
  symlinkSync(join(dir, 'outside'), join(dir, 'gone/sub/link'));
  linkSync(join(dir, 'outside/precious'), join(dir, 'gone/shared'));
  writeFileSync(join(dir, 'gone/sub/own'), Buffer.alloc(20_000));
  const expected = ['gone', 'gone/sub', 'gone/link', 'gone/sub/link', 'gone/sub/own'].map(
    (name) => lstatSync(join(dir, name)).blocks * 512,
  );
  let freedBytes = 0;
  let inodes = 0;
  using root = openFolder(Buffer.from(dir));
  await removeTree(root, Buffer.from('gone'), {
    signal: NEVER,
    freed: (bytes) => {
      freedBytes += bytes;
      inodes++;
    },
  });
  t.same(readdirSync(dir), ['outside']);
  t.same(readdirSync(join(dir, 'outside')), ['precious']);
  t.equal(inodes, expected.length);
  t.equal(
    freedBytes,
    expected.reduce((sum, bytes) => sum + bytes),
  );
  await removeTree(root, Buffer.from('gone'), { signal: NEVER });
});

t.test('a symlink in the place of the tree is refused', async (t) => {
  const dir = temp(t);
  mkdirSync(join(dir, 'outside'));
  writeFileSync(join(dir, 'outside/precious'), '');
  symlinkSync('outside', join(dir, 'tree'));
  using root = openFolder(Buffer.from(dir));
  await t.rejects(removeTree(root, Buffer.from('tree'), { signal: NEVER }));
  t.same(readdirSync(join(dir, 'outside')), ['precious']);
});
