import fc from 'fast-check';
import t from 'tap';
import {
  comparePaths,
  createManifestEncoder,
  encodeManifest,
  readManifest,
  UnchangedLines,
  type Entry,
  type ManifestHeader,
  type WrittenEntry,
} from '@bakker/impl-format';
import { ParentEntries } from '../../src/backup/earlier-entries.ts';
import { joinParent } from '../../src/backup/join-parent.ts';

const STARTED_AT_MS = Date.UTC(2024, 3, 19, 1);
const HEADER: ManifestHeader = {
  run: '2024_04_19_01',
  parent: null,
  parentDigest: null,
  host: 'web1',
  agent: 'bakker',
  startedAtMs: STARTED_AT_MS,
  sources: [Buffer.from('/')],
  filesystems: [{ mountPoint: Buffer.from('/'), type: 'ext4' }],
};
const FINISH = { finishedAtMs: STARTED_AT_MS + 1, addedBytes: 0 };
const SETTLED_S = STARTED_AT_MS / 1000 - 60;
/** What becomes of a path between two runs. */
const FATES = ['same', 'same', 'same', 'changed', 'gone', 'new', 'just now'] as const;

function entryAt(path: string, changes: Partial<Entry> = {}): Entry {
  return {
    ...{ path: Buffer.from(path), type: 'file', sizeBytes: 3, mode: 0o644, uid: 0, gid: 0, linkCount: 1 },
    mtimeNs: BigInt(SETTLED_S) * 1_000_000_000n + 5n,
    ctimeNs: BigInt(SETTLED_S) * 1_000_000_000n + 7n,
    ...{ inode: 12n, filesystem: 0, stored: { kind: 'own' }, sha256: Buffer.alloc(32, 1) },
    ...changes,
  };
}

/** A scan as the walk does it: along `parent`, in slices. */
async function* scanOf(
  now: readonly Entry[],
  parent: ParentEntries,
  sliceLength: number,
): AsyncGenerator<readonly Entry[]> {
  for (let at = 0; at === 0 || at < now.length; at += sliceLength) {
    await parent.refill();
    const batch: Entry[] = [];
    for (const entry of now.slice(at, at + sliceLength)) {
      const facts = {
        ...{
          mode: entry.mode,
          uid: 0,
          gid: 0,
          user: undefined,
          group: undefined,
          sizeBytes: entry.sizeBytes,
        },
        mtimeS: Number(entry.mtimeNs / 1_000_000_000n),
        mtimeNs: Number(entry.mtimeNs % 1_000_000_000n),
        ctimeS: Number(entry.ctimeNs / 1_000_000_000n),
        ctimeNs: Number(entry.ctimeNs % 1_000_000_000n),
        ...{ inode: 12, filesystem: 0, linkCount: 1 },
      };
      const room = Buffer.concat([entry.path, Buffer.from('left over')]);
      if (entry.type === 'file' && parent.take(room, entry.path.length, facts)) continue;
      parent.at(entry.path);
      const { sha256: _, ...scanned } = entry;
      batch.push(scanned);
      parent.interrupt();
    }
    parent.endSlice();
    yield batch;
  }
}

/** All batches at once, as a scan that goes ahead does. */
async function* ahead<T>(batches: AsyncIterable<T>): AsyncGenerator<T> {
  yield* await Array.fromAsync(batches);
}

const anyTree = fc
  .uniqueArray(
    fc.record({
      path: fc
        .array(fc.constantFrom('a', 'b', 'a b', 'a-', 'ä', '"'), { minLength: 1, maxLength: 3 })
        .map((names) => names.join('/')),
      fate: fc.constantFrom(...FATES),
    }),
    { maxLength: 60, selector: ({ path }) => path },
  )
  .map((all) => {
    const isFolder = (path: string): boolean => all.some((other) => other.path.startsWith(`${path}/`));
    return all
      .map(({ path, fate }) => ({
        path,
        fate,
        type: isFolder(path) ? ('directory' as const) : ('file' as const),
      }))
      .sort((a, b) => comparePaths(Buffer.from(a.path), Buffer.from(b.path)));
  });

function worldOf(
  all: readonly { path: string; fate: (typeof FATES)[number]; type: 'file' | 'directory' }[],
): {
  before: Entry[];
  now: Entry[];
} {
  const make = (
    { path, type }: { path: string; type: 'file' | 'directory' },
    changes: Partial<Entry> = {},
  ): Entry => {
    if (type === 'file') return entryAt(path, changes);
    const { sha256: _, ...folder } = entryAt(path, { ...changes, type, sizeBytes: 0 });
    return folder;
  };
  const just = { ctimeNs: BigInt(STARTED_AT_MS) * 1_000_000n };
  return {
    before: all
      .filter(({ fate }) => fate !== 'new')
      .map((one) => make(one, one.fate === 'just now' ? just : {})),
    now: all
      .filter(({ fate }) => fate !== 'gone')
      .map((one) =>
        make(one, one.fate === 'changed' ? { mode: 0o600 } : one.fate === 'just now' ? just : {}),
      ),
  };
}

async function manifestOf(entries: readonly Entry[]): Promise<Buffer> {
  const batches = (async function* () {
    yield entries;
  })();
  return Buffer.concat(await Array.fromAsync(encodeManifest(HEADER, batches, () => FINISH)));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

t.test('every path of either is told once, in order, and lines stand only for what they say', async (t) => {
  await fc.assert(
    fc.asyncProperty(anyTree, fc.integer({ min: 1, max: 9 }), fc.boolean(), async (all, slice, isAhead) => {
      const { before, now } = worldOf(all);
      const manifest = await readManifest(once(await manifestOf(before)), { keepLines: true });
      const parent = new ParentEntries(manifest.cursor(), STARTED_AT_MS);
      const scan = scanOf(now, parent, slice);
      const told: { path: string; left: boolean; right: boolean; isLine: boolean }[] = [];
      for await (const batch of joinParent(isAhead ? ahead(scan) : scan, parent)) {
        for (const item of batch) {
          if (item instanceof UnchangedLines) {
            t.strictSame(item.lastPath, item.entries().at(-1)?.path);
            for (const { path } of item.entries())
              told.push({ path: path.toString(), left: true, right: true, isLine: true });
          } else {
            const { path, left, right } = item;
            told.push({ path: path.toString(), left: !!left, right: !!right, isLine: false });
          }
        }
      }
      t.strictSame(
        told.map(({ path, left, right }) => ({ path, left, right })),
        all.map(({ path, fate }) => ({ path, left: fate !== 'gone', right: fate !== 'new' })),
      );
      const isSame = new Map(all.map(({ path, fate, type }) => [path, fate === 'same' && type === 'file']));
      for (const { path, isLine } of told) if (isLine) t.ok(isSame.get(path), path);
      const taken = told.filter(({ isLine }) => isLine).length;
      const plain = all.filter(({ path }) => isSame.get(path) === true && !path.includes('"')).length;
      t.equal(taken, plain);
      t.equal(manifest.trailer.counts.entries, before.length);
    }),
    { numRuns: 300 },
  );
});

t.test('what is gone is held by its bytes, wherever it lies', async (t) => {
  const names = Array.from({ length: 600 }, (_, index) => `f${String(index).padStart(5, '0')}`);
  const value = Buffer.alloc(65_536, 1);
  const before = names.map((path) => entryAt(path, { xattrs: [{ name: Buffer.from('user.x'), value }] }));
  const bytes = await manifestOf(before);
  for (const now of [[], [entryAt('a')], [entryAt('z')], [entryAt('f00300-')]]) {
    const manifest = await readManifest(once(bytes), { keepLines: true });
    const parent = new ParentEntries(manifest.cursor(), STARTED_AT_MS);
    const told: number[] = [];
    for await (const batch of joinParent(scanOf(now, parent, 1024), parent)) told.push(batch.length);
    t.equal(
      told.reduce((sum, count) => sum + count, 0),
      names.length + now.length,
    );
    t.ok(Math.max(...told) <= 24, `${Math.max(...told)} of 64 KiB at once`);
  }
});

t.test('lines make the same manifest as entries do, and a follower is told which they are', async (t) => {
  const names = Array.from({ length: 5000 }, (_, index) => `f${String(index).padStart(5, '0')}`);
  const { before, now } = worldOf(
    names.map((path, index) => ({ path, fate: index % 500 === 3 ? 'changed' : 'same', type: 'file' })),
  );
  const manifest = await readManifest(once(await manifestOf(before)), { keepLines: true });
  const parent = new ParentEntries(manifest.cursor(), STARTED_AT_MS);
  const kept: number[] = [];
  using encoder = createManifestEncoder(HEADER, {
    kept: (number, count) => kept.push(...Array.from({ length: count }, (_, index) => number + index)),
    moved: () => undefined,
    line: () => undefined,
  });
  const chunks: Uint8Array[] = [];
  for await (const batch of joinParent(scanOf(now, parent, 1024), parent)) {
    const written = batch.map((item): WrittenEntry => {
      if (item instanceof UnchangedLines || !item.left) return item as UnchangedLines;
      return { ...item.left, sha256: Buffer.alloc(32, 1) };
    });
    chunks.push(...(await encoder.encode(written)));
  }
  const { chunks: last } = await encoder.finish(FINISH);
  t.ok(Buffer.concat([...chunks, ...last]).equals(await manifestOf(now)));
  t.strictSame(
    kept,
    names.flatMap((_, index) => (index % 500 === 3 ? [] : [index])),
  );
});

t.test(
  'a manifest that counts other entries than it has is noticed at its end, also when none was read',
  async (t) => {
    const { before, now } = worldOf(['a', 'b', 'c'].map((path) => ({ path, fate: 'same', type: 'file' })));
    const { zstdCompressSync, zstdDecompressSync } = await import('node:zlib');
    const { createHash } = await import('node:crypto');
    const lines = zstdDecompressSync(await manifestOf(before))
      .toString()
      .split('\n')
      .slice(0, -1);
    const trailer = lines.pop() ?? '';
    const body = `${lines.toSpliced(2, 1).join('\n')}\n`;
    const digest = createHash('sha256').update(body).digest('hex');
    const forged = zstdCompressSync(
      Buffer.from(`${body}${trailer.replace(/"digest":"\w+"/, `"digest":"${digest}"`)}\n`),
    );
    const manifest = await readManifest(once(forged), { keepLines: true });
    const parent = new ParentEntries(manifest.cursor(), STARTED_AT_MS);
    await t.rejects(Array.fromAsync(joinParent(scanOf(now, parent, 10), parent)), { code: 'DAMAGED' });
  },
);

t.test('what changed just before the parent began may have changed again unseen', async (t) => {
  const manifest = await readManifest(once(await manifestOf([])), { keepLines: true });
  const parent = new ParentEntries(manifest.cursor(), STARTED_AT_MS);
  const ns = (beforeMs: number): bigint => BigInt(STARTED_AT_MS - beforeMs) * 1_000_000n;
  t.notOk(parent.isSettled(ns(1)));
  t.notOk(parent.isSettled(ns(2000)));
  t.ok(parent.isSettled(ns(2000) - 1n));
});
