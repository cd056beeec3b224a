import fc from 'fast-check';
import t from 'tap';
import { ByteWriter } from '../src/byte-writer.ts';
import { encodeEntryLine } from '../src/entry-encode.ts';
import type { Entry } from '../src/entry.ts';
import { SameLine, type FileFacts } from '../src/same-line.ts';
import { anyEntries, anyPath, fileEntry } from './samples.ts';

const SHA256 = Buffer.alloc(32, 0xab);
const NS = 1_000_000_000n;
const same = new SameLine();

/** A line between two others, as it lies in a block. */
function lineOf(entry: Entry): { block: Buffer; start: number; end: number } {
  const out = new ByteWriter(64 * 1024);
  encodeEntryLine(fileEntry('before'), out);
  const start = out.length;
  encodeEntryLine(entry, out);
  const end = out.length;
  encodeEntryLine(fileEntry('zz'), out);
  return { block: Buffer.from(out.take()), start, end };
}

function isSame(entry: Entry, path: Buffer, facts: FileFacts): boolean {
  const { block, start, end } = lineOf(entry);
  const found = same.end(block, start, Buffer.concat([path, Buffer.from('more')]), path.length, facts);
  if (found < 0) return false;
  t.equal(found, end);
  t.strictSame(block.subarray(SameLine.pathStart(start), same.pathEnd), entry.path);
  t.equal(same.sealedBytes, entry.sealedBytes);
  return true;
}

function factsOf(entry: Entry): FileFacts {
  const { mode, uid, gid, user, group, sizeBytes, mtimeNs, ctimeNs, inode, filesystem, linkCount } = entry;
  return {
    ...{ mode, uid, gid, user, group, sizeBytes, filesystem, linkCount },
    mtimeS: Number(mtimeNs / NS),
    mtimeNs: Number(mtimeNs % NS),
    ctimeS: Number(ctimeNs / NS),
    ctimeNs: Number(ctimeNs % NS),
    inode: Number(inode),
  };
}

const plainText = fc.constantFrom(undefined, 'root', 'www-data', 'a "b"', 'ü');
const anyTime = fc.bigInt({ min: NS, max: 4_000_000_000n * NS });
const anyFile: fc.Arbitrary<Entry> = fc
  .record({
    path: anyPath,
    mode: fc.nat(0o7777),
    uid: fc.nat(70_000),
    gid: fc.nat(70_000),
    user: plainText,
    group: plainText,
    sizeBytes: fc.nat(2 ** 30),
    mtimeNs: anyTime,
    ctimeNs: anyTime,
    inode: fc.bigInt({ min: 1n, max: 2n ** 40n }),
    filesystem: fc.nat(3),
    linkCount: fc.integer({ min: 1, max: 3 }),
    sealedBytes: fc.constantFrom(undefined, 0, 4711),
  })
  .map(({ user, group, sealedBytes, ...rest }) =>
    fileEntry(rest.path, {
      ...rest,
      sha256: SHA256,
      ...(user === undefined ? {} : { user }),
      ...(group === undefined ? {} : { group }),
      ...(sealedBytes === undefined ? {} : { sealedBytes }),
    }),
  );

t.test('a line that says what was seen is found the same, but for odd names', async (t) => {
  let found = 0;
  fc.assert(
    fc.property(anyFile, (entry) => {
      const isPlain = !/[\x00-\x1f"\\]/.test(entry.path.toString('latin1'));
      const isFound = isSame(entry, entry.path, factsOf(entry));
      if (isFound) found++;
      if (isPlain && /^[\x20-\x7e]*$/.test(entry.path.toString('latin1'))) t.ok(isFound);
    }),
    { numRuns: 300 },
  );
  t.ok(found > 20);
});

t.test('any other fact is noticed', async (t) => {
  const numbers = [
    'mode',
    'uid',
    'gid',
    'sizeBytes',
    'mtimeS',
    'mtimeNs',
    'ctimeS',
    'ctimeNs',
    'inode',
  ] as const;
  fc.assert(
    fc.property(
      anyFile,
      fc.constantFrom(...numbers, 'filesystem', 'linkCount'),
      fc.nat(2),
      (entry, key, by) => {
        const facts = factsOf(entry);
        facts[key] = key === 'mode' ? (facts.mode ^ (1 + by)) & 0o7777 : facts[key] + 1 + by;
        t.notOk(isSame(entry, entry.path, facts));
      },
    ),
  );
  fc.assert(
    fc.property(anyFile, fc.constantFrom('user', 'group'), (entry, key) => {
      t.notOk(isSame(entry, entry.path, { ...factsOf(entry), [key]: 'somebody' }));
    }),
  );
  fc.assert(
    fc.property(anyFile, anyPath, (entry, path) => {
      if (!path.equals(entry.path)) t.notOk(isSame(entry, path, factsOf(entry)));
    }),
  );
});

t.test('a line with anything that facts do not tell is never the same', async (t) => {
  const plain = fileEntry('a', { sha256: SHA256 });
  t.ok(isSame(plain, plain.path, factsOf(plain)));
  const odd: Partial<Entry>[] = [
    { unsettled: true },
    { unreadable: 'EACCES' },
    { extents: [{ offsetBytes: 0, lengthBytes: 3 }] },
    { xattrs: [{ name: Buffer.from('user.x'), value: Buffer.from('y') }] },
    { acl: { access: [{ tag: 'mask', perms: 7 }] } },
    { stored: { kind: 'manifest' } },
    { stored: { kind: 'elsewhere', at: Buffer.from('b') } },
  ];
  for (const changes of odd) t.notOk(isSame({ ...plain, ...changes }, plain.path, factsOf(plain)));
  const { sha256: _, ...unread } = plain;
  t.notOk(isSame(unread, plain.path, factsOf(plain)));
});

t.test('paths that end within others, or look like the text behind them, are told apart', async (t) => {
  const entry = fileEntry('a', { sha256: SHA256 });
  for (const path of ['', 'a"', 'a","type":"file', 'a","type":"file","size":3', 'ab'])
    t.notOk(isSame(entry, Buffer.from(path), factsOf(entry)));
});

t.test('times before 1970, or within its first second, are left to others', async (t) => {
  for (const mtimeNs of [-1n, 0n, 5n, 999_999_999n]) {
    const entry = fileEntry('a', { sha256: SHA256, mtimeNs });
    t.notOk(isSame(entry, entry.path, factsOf(entry)));
  }
});

t.test('entries of any kind are never taken for what they are not', async (t) => {
  fc.assert(
    fc.property(anyEntries, (entries) => {
      for (const entry of entries) {
        if (!isSame(entry, entry.path, factsOf(entry))) continue;
        t.equal(entry.type, 'file');
        t.strictSame(entry.stored, { kind: 'own' });
        t.same([entry.unsettled, entry.unreadable, entry.extents, entry.acl, entry.xattrs], []);
      }
    }),
  );
});
