import type { Entry } from '@bakker/impl-format';
import t from 'tap';
import { Keeping } from '../../src/backup/keeping.ts';
import { ObjectCounter } from '../../src/backup/object-counter.ts';
import { isSameLine } from '../../src/backup/same-line.ts';

const FILE: Entry = {
  path: Buffer.from('a/file'),
  type: 'file',
  sizeBytes: 10,
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  mtimeNs: 1_000n,
  ctimeNs: 2_000n,
  inode: 7n,
  filesystem: 0,
  linkCount: 1,
  sha256: Buffer.alloc(32, 1),
  stored: { kind: 'own' },
};

function at(path: string, changes: Partial<Entry> = {}): Entry {
  return { ...FILE, path: Buffer.from(path), ...changes };
}

function recorded() {
  const told: string[] = [];
  const keeping = new Keeping({
    keepUntil: (path) => told.push(`until ${path.toString()}`),
    skip: (path) => told.push(`skip ${path.toString()}`),
    keepRest: () => told.push('rest'),
  });
  return { told, keeping };
}

t.test('what is gone is said once, for all that is below it', (t) => {
  const { told, keeping } = recorded();
  for (const path of ['b', 'b/c', 'b/c/d', 'b.d', 'bc', 'bc/x']) keeping.pass(at(path));
  keeping.pass(at('x', { stored: { kind: 'manifest' } }));
  keeping.pass(at('y', { stored: { kind: 'elsewhere', at: Buffer.from('.bakker-long-paths/y') } }));
  keeping.rest();
  t.same(told, ['skip b', 'skip b.d', 'skip bc', 'rest']);
  t.end();
});

t.test('the storage is told early, then every few thousand entries, how far it may go', (t) => {
  const { told, keeping } = recorded();
  for (let index = 0; index < 20_000; index += 1) keeping.keep(Buffer.from(`f${10_000 + index}`));
  keeping.rest();
  t.same(told, ['until f11023', 'until f13071', 'until f17167', 'until f25359', 'rest']);
  t.end();
});

t.test('a line is taken over only if the new one would say the same', (t) => {
  t.ok(isSameLine(at('a/file'), FILE));
  const others: Partial<Entry>[] = [
    { ctimeNs: 2_001n },
    { inode: 8n },
    { filesystem: 1 },
    { linkCount: 2 },
    { mode: 0o600 },
    { user: 'ann' },
    { unsettled: true },
    { unreadable: 'EIO' },
    { stored: { kind: 'manifest' } },
    { extents: [{ offsetBytes: 0, lengthBytes: 4 }] },
    { xattrs: [{ name: Buffer.from('user.x'), value: Buffer.from('1') }] },
    { target: Buffer.from('x') },
    { device: { major: 1, minor: 2 } },
  ];
  for (const change of others)
    t.notOk(isSameLine({ ...FILE, ...change }, FILE), Object.keys(change)[0] ?? '');
  const sparse = (lengthBytes: number): Entry => ({ ...FILE, extents: [{ offsetBytes: 0, lengthBytes }] });
  t.ok(isSameLine(sparse(4), sparse(4)));
  t.notOk(isSameLine(sparse(4), sparse(5)));
  const folder: Entry = { ...FILE, type: 'directory', sizeBytes: 0 };
  t.notOk(isSameLine({ ...folder, linkCount: 3 }, folder), 'links of a folder count here');
  t.end();
});

t.test('objects are counted as they lie in the run', (t) => {
  const counter = new ObjectCounter();
  const elsewhere = { kind: 'elsewhere', at: Buffer.from('.bakker-long-paths/x') } as const;
  counter.add([
    at('d', { type: 'directory', sizeBytes: 0 }),
    at('d/a'),
    at('d/b', { stored: elsewhere }),
    at('d/l', { type: 'symlink', sizeBytes: 0, target: Buffer.from('a') }),
    at('d/x', { stored: { kind: 'manifest' }, unreadable: 'EACCES' }),
  ]);
  t.same(counter.counts(true), { files: 2, directories: 2, symlinks: 1, bytes: 20 });
  t.end();
});
