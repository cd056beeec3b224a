import fc from 'fast-check';
import { createHash } from 'node:crypto';
import t from 'tap';
import {
  checkManifestBytes,
  createManifestEncoder,
  encodeManifest,
  ManifestError,
  readManifest,
  type Entry,
} from '../src/index.ts';
import {
  anyEntries,
  fileEntry,
  FINISH,
  HEADER,
  inBatches,
  otherEntry,
  piecesOf,
  readAll,
  textOf,
  writeManifest,
} from './samples.ts';

t.test('every entry that Linux can have comes back as it was', async (t) => {
  await fc.assert(
    fc.asyncProperty(anyEntries, fc.integer({ min: 1, max: 700 }), async (entries, pieceLength) => {
      const manifest = await writeManifest(entries);
      const read = await readAll(manifest, pieceLength);
      t.strictSame(read.entries, entries);
      t.strictSame(read.header, HEADER);
      t.strictSame(await checkManifestBytes(piecesOf(manifest)), read.trailer);
    }),
    { numRuns: 250 },
  );
});

t.test('whatever an entry holds, it is refused by the writer or comes back as it was', async (t) => {
  const oddNumber = fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger());
  const oddText = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\ud800', '', 'a\udfff', '"', '\u0000'),
  );
  const oddBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const change: fc.Arbitrary<Partial<Entry>> = fc.oneof(
    fc
      .tuple(fc.constantFrom('sizeBytes', 'mode', 'uid', 'gid', 'filesystem', 'linkCount'), oddNumber)
      .map(([key, value]) => ({ [key]: value })),
    fc
      .tuple(fc.constantFrom('mtimeNs', 'ctimeNs', 'inode'), fc.bigInt())
      .map(([key, value]) => ({ [key]: value })),
    fc
      .tuple(fc.constantFrom('user', 'group', 'unreadable'), oddText)
      .map(([key, value]) => ({ [key]: value })),
    fc.tuple(fc.constantFrom('path', 'target', 'sha256'), oddBytes).map(([key, value]) => ({ [key]: value })),
    oddBytes.map((at) => ({ stored: { kind: 'elsewhere', at } as const })),
    oddBytes.map((name) => ({ xattrs: [{ name, value: name }] })),
    fc.tuple(oddNumber, oddNumber).map(([major, minor]) => ({ device: { major, minor } })),
    fc
      .tuple(oddNumber, oddNumber)
      .map(([offsetBytes, lengthBytes]) => ({ extents: [{ offsetBytes, lengthBytes }] })),
    fc
      .tuple(oddNumber, oddNumber, oddText)
      .map(([perms, id, name]) => ({ acl: { access: [{ tag: 'user', perms, id, name } as const] } })),
    fc.constantFrom<Entry['type']>('file', 'directory', 'symlink', 'fifo', 'char').map((type) => ({ type })),
  );
  let written = 0;
  await fc.assert(
    fc.asyncProperty(anyEntries, change, async (entries, odd) => {
      const last = { ...(entries.at(-1) ?? fileEntry('a')), ...odd };
      const manifest = await writeManifest([...entries.slice(0, -1), last]).catch((error: unknown) => {
        if (error instanceof ManifestError) return undefined;
        throw error;
      });
      if (manifest === undefined) return;
      written++;
      t.strictSame((await readAll(manifest)).entries, [...entries.slice(0, -1), last]);
    }),
    { numRuns: 600 },
  );
  t.ok(written > 50, `${written} of them could be written`);
});

t.test('every line but the last is JSON that other programs read the same way', async (t) => {
  await fc.assert(
    fc.asyncProperty(anyEntries, async (entries) => {
      const lines = Buffer.from(textOf(await writeManifest(entries)), 'latin1')
        .toString('utf8')
        .split('\n')
        .slice(1, -2);
      t.strictSame(lines.map(summaryOfLine), entries.map(summaryOfEntry));
    }),
    { numRuns: 100 },
  );
});

t.test('the trailer counts what is there and has the digest of all before it', async (t) => {
  const entries = [
    otherEntry('a', 'directory'),
    fileEntry('a/1', { sizeBytes: 10 }),
    fileEntry('a/2', { sizeBytes: 20, unreadable: 'EACCES' }),
    otherEntry('a/3', 'symlink', { target: Buffer.from('1') }),
    otherEntry('a/4', 'fifo'),
    otherEntry('a/5', 'block', { device: { major: 8, minor: 1 } }),
    otherEntry('b', 'directory', { unreadable: 'EIO' }),
  ];
  const manifest = await writeManifest(entries);
  const { trailer } = await readAll(manifest);
  const body = textOf(manifest).replace(/[^\n]*\n$/, '');
  t.strictSame(trailer, {
    ...FINISH,
    counts: { entries: 7, files: 2, directories: 2, symlinks: 1, others: 2, unreadable: 2, bytes: 30 },
    digest: createHash('sha256').update(body, 'latin1').digest('hex'),
  });
});

t.test('an empty run is a manifest too', async (t) => {
  const { entries, trailer } = await readAll(await writeManifest([]));
  t.strictSame(entries, []);
  t.equal(trailer.counts.entries, 0);
});

t.test('many entries go through in bounded batches, whatever the size of those that came in', async (t) => {
  const entries = Array.from({ length: 20_000 }, (_, i) =>
    fileEntry(`folder-${String(i >> 7).padStart(4, '0')}-${i}`, { inode: BigInt(i) }),
  ).sort((a, b) => a.path.compare(b.path));
  using encoder = createManifestEncoder(HEADER);
  const chunks = [];
  for await (const batch of inBatches(entries, 7000)) chunks.push(...(await encoder.encode(batch)));
  const end = await encoder.finish(FINISH);
  const reader = await readManifest(piecesOf(Buffer.concat([...chunks, ...end.chunks])));
  const read: Entry[] = [];
  for await (const batch of reader.batches()) {
    t.ok(batch.length <= 1024);
    read.push(...batch);
  }
  t.strictSame(read, entries);
  t.strictSame(reader.trailer, end.trailer);
});

t.test(
  'a batch ends when its lines weigh too much: a few bytes become no memory full of entries',
  async (t) => {
    const value = Buffer.alloc(65_536);
    const entry = (name: string, valueCount: number): Entry =>
      fileEntry(name, {
        xattrs: Array.from({ length: valueCount }, (_, i) => ({
          name: Buffer.from(`user.${String(i).padStart(3, '0')}`),
          value,
        })),
      });
    for (const [valueCount, count, most] of [
      [100, 20, 1],
      [1, 150, 12],
    ] as const) {
      const names = Array.from({ length: count }, (_, i) => String(i).padStart(3, '0'));
      async function* batches(): AsyncGenerator<readonly Entry[]> {
        for (const name of names) yield [entry(name, valueCount)];
      }
      const manifest = Buffer.concat(await Array.fromAsync(encodeManifest(HEADER, batches(), () => FINISH)));
      t.ok(manifest.length < 1024 * 1024, `${manifest.length} bytes`);
      const reader = await readManifest(piecesOf(manifest));
      const read: string[] = [];
      for await (const batch of reader.batches()) {
        if (batch.length > most) t.fail(`${batch.length} entries at once`);
        read.push(...batch.map(({ path }) => path.toString()));
      }
      t.strictSame(read, names);
    }
  },
);

t.test('a long line, and lines across the borders of pieces', async (t) => {
  const extents = Array.from({ length: 200_000 }, (_, i) => ({ offsetBytes: i * 8192, lengthBytes: 4096 }));
  const entries = [
    fileEntry('a'),
    fileEntry('big', { sizeBytes: 200_000 * 8192, extents }),
    fileEntry('c', { user: 'x'.repeat(300_000) }),
    fileEntry('d'),
  ];
  t.strictSame((await readAll(await writeManifest(entries))).entries, entries);
});

t.test('the trailer is not there before the end, and batches are read once', async (t) => {
  const reader = await readManifest(piecesOf(await writeManifest([fileEntry('a')])));
  t.throws(() => reader.trailer, { message: 'the trailer is known when the batches have ended' });
  for await (const batch of reader.batches()) t.equal(batch.length, 1);
  t.equal(reader.trailer.counts.files, 1);
  await t.rejects(reader.batches().next(), { message: 'the batches of a manifest can be read once' });
});

t.test('whoever stops early releases the source', async (t) => {
  const entries = Array.from({ length: 5000 }, (_, i) => fileEntry(String(i).padStart(5, '0')));
  const manifest = await writeManifest(entries);
  let released = 0;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* piecesOf(manifest, 100);
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      released++;
    }
  }
  const stopped = await readManifest(source());
  for await (const batch of stopped.batches()) {
    t.ok(batch.length > 0);
    break;
  }
  t.equal(released, 1, 'by leaving the loop');
  {
    await using unread = await readManifest(source());
    t.equal(unread.header.run, HEADER.run);
  }
  t.equal(released, 2, 'by disposing without reading');
  await t.rejects(readManifest(piecesOf(Buffer.from('no zstd'))), { code: 'DAMAGED' });
});

t.test('what the source throws comes through as it is', async (t) => {
  const manifest = await writeManifest([fileEntry('a')]);
  const failure = new Error('connection lost');
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield manifest.subarray(0, 20);
    throw failure;
  }
  await t.rejects(readManifest(failing()), failure);
  await t.rejects(checkManifestBytes(failing()), failure);
});

interface LineOfEntry {
  readonly path: string | { readonly b64: string };
  readonly type: string;
  readonly size?: number;
  readonly mode: string;
  readonly user?: string;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly inode: string;
  readonly fs?: number;
  readonly links?: number;
  readonly sha256?: string;
  readonly rdev?: readonly number[];
  readonly xattrs?: readonly unknown[];
  readonly extents?: readonly (readonly number[])[];
}

function summaryOfLine(line: string) {
  const {
    path,
    type,
    size,
    mode,
    user,
    mtimeNs,
    ctimeNs,
    inode,
    fs,
    links,
    sha256,
    rdev,
    xattrs,
    extents,
  }: LineOfEntry = JSON.parse(line);
  const bytes = typeof path === 'string' ? Buffer.from(path) : Buffer.from(path.b64, 'base64');
  return {
    path: bytes.toString('hex'),
    type,
    mtimeNs: BigInt(mtimeNs),
    ctimeNs: BigInt(ctimeNs),
    inode: BigInt(inode),
    mode: Number.parseInt(mode, 8),
    sizeBytes: size ?? 0,
    filesystem: fs ?? 0,
    linkCount: links ?? 1,
    sha256,
    user,
    xattrs: xattrs?.length,
    extents,
    rdev,
  };
}

function summaryOfEntry(entry: Entry) {
  const { type, mtimeNs, ctimeNs, inode, mode, sizeBytes, filesystem, linkCount, user, device } = entry;
  return {
    path: entry.path.toString('hex'),
    type,
    mtimeNs,
    ctimeNs,
    inode,
    mode,
    sizeBytes,
    filesystem,
    linkCount,
    sha256: entry.sha256?.toString('hex'),
    user,
    xattrs: entry.xattrs?.length,
    extents: entry.extents?.map(({ offsetBytes, lengthBytes }) => [offsetBytes, lengthBytes]),
    rdev: device === undefined ? undefined : [device.major, device.minor],
  };
}
