import fc from 'fast-check';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import type { AclEntry, Entry, ManifestHeader } from '../src/entry.ts';
import { encodeManifest, readManifest, comparePaths } from '../src/index.ts';

export const HEADER: ManifestHeader = {
  run: '2024_04_19_01',
  parent: '2024_04_18_01',
  parentDigest: 'ab'.repeat(32),
  host: 'web1',
  agent: '0.1.0',
  startedAtMs: Date.UTC(2024, 3, 19, 1),
  sources: [Buffer.from('/srv'), Buffer.from([0x2f, 0xff, 0x0a])],
  filesystems: [
    { mountPoint: Buffer.from('/'), type: 'ext4' },
    { mountPoint: Buffer.from('/srv'), type: 'xfs' },
  ],
};
export const FINISH = { finishedAtMs: Date.UTC(2024, 3, 19, 1, 2, 3, 4), addedBytes: 42 };

/** A plain file's entry, changed as said. */
export function fileEntry(path: string | Buffer, changes: Partial<Entry> = {}): Entry {
  return {
    path: Buffer.from(path),
    type: 'file',
    sizeBytes: 3,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 1_713_488_400_123_456_789n,
    ctimeNs: 1_713_488_400_123_456_789n,
    inode: 12n,
    filesystem: 0,
    linkCount: 1,
    stored: { kind: 'own' },
    ...changes,
  };
}

export function otherEntry(path: string | Buffer, type: Entry['type'], changes: Partial<Entry> = {}): Entry {
  return fileEntry(path, { type, sizeBytes: 0, ...changes });
}

export async function* inBatches<T>(items: readonly T[], length = 1024): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < items.length; at += length) yield items.slice(at, at + length);
}

export async function* piecesOf(bytes: Uint8Array, length = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

export async function writeManifest(entries: readonly Entry[], header = HEADER): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(encodeManifest(header, inBatches(entries), () => FINISH)));
}

export async function readAll(bytes: Uint8Array, pieceLength?: number) {
  const reader = await readManifest(piecesOf(bytes, pieceLength), { source: 'test.impl' });
  const entries = (await Array.fromAsync(reader.batches())).flat();
  return { header: reader.header, entries, trailer: reader.trailer };
}

/** The uncompressed text as latin1, one character a byte. */
export function textOf(manifest: Uint8Array): string {
  return zstdDecompressSync(manifest).toString('latin1');
}

/** Compresses lines (latin1) as they are. */
export function manifestOf(text: string): Buffer {
  return zstdCompressSync(Buffer.from(text, 'latin1'));
}

/** The manifest with its text changed and the digest made true again: what an attacker, not damage, would do. */
export function forged(manifest: Uint8Array, change: (lines: string[]) => string[]): Buffer {
  const lines = change(textOf(manifest).split('\n').slice(0, -1));
  const trailer = lines.pop() ?? '';
  const body = lines.map((line) => `${line}\n`).join('');
  const digest = createHash('sha256').update(body, 'latin1').digest('hex');
  return manifestOf(`${body}${trailer.replace(/"digest":"[0-9a-f]{64}"/, `"digest":"${digest}"`)}\n`);
}

const byteName = fc
  .uint8Array({ minLength: 1, maxLength: 12 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x41 : byte))))
  .filter((name) => !['.', '..'].includes(name.toString('latin1')));
const oddName = fc.constantFrom(
  'a',
  'b',
  'a b',
  'a-b',
  'a.b',
  '"',
  '\\',
  '\n',
  'é',
  '…',
  '\u007f',
  '😀',
  '\ufffd',
);

/** Names as Linux allows them: often alike, often odd, sometimes no UTF-8. */
export const anyName: fc.Arbitrary<Buffer> = fc.oneof(
  byteName,
  oddName.map((name) => Buffer.from(name)),
);
export const anyPath: fc.Arbitrary<Buffer> = fc
  .array(anyName, { minLength: 1, maxLength: 5 })
  .map((names) => Buffer.from(names.map((name) => name.toString('latin1')).join('/'), 'latin1'));

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyTimeNs = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
  fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }),
  fc.bigInt({ min: -20n, max: 20n }),
  fc.constantFrom(
    10n ** 15n,
    10n ** 15n - 1n,
    -(10n ** 15n),
    10n ** 24n,
    -(10n ** 28n) + 1n,
    10n ** 28n - 1n,
  ),
);
const anyAclEntry: fc.Arbitrary<AclEntry> = fc.oneof(
  fc.record(
    { tag: fc.constantFrom('user-obj', 'group-obj', 'mask', 'other'), perms: fc.nat(7) },
    { noNullPrototype: true },
  ),
  fc.record(
    {
      tag: fc.constantFrom('user', 'group'),
      perms: fc.nat(7),
      id: uint32,
      name: fc.string({ unit: 'binary' }),
    },
    { requiredKeys: ['tag', 'perms', 'id'], noNullPrototype: true },
  ),
);
const anyAclList = fc.array(anyAclEntry, { minLength: 1, maxLength: 4 });
const anyXattrs = fc
  .uniqueArray(anyName, { minLength: 1, maxLength: 3, selector: (name) => name.toString('latin1') })
  .chain((names) =>
    fc.tuple(
      ...names
        .sort((a, b) => a.compare(b))
        .map((name) =>
          fc.uint8Array({ maxLength: 20 }).map((bytes) => ({ name, value: Buffer.from(bytes) })),
        ),
    ),
  );
/** Pairs of a hole and the data after it. */
const anyExtents = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 2 ** 32 }), fc.integer({ min: 1, max: 2 ** 32 })),
  {
    maxLength: 4,
  },
);

const common = fc.record(
  {
    mode: fc.nat(0o7777),
    uid: uint32,
    gid: uint32,
    user: fc.string({ unit: 'binary' }),
    group: fc.string(),
    mtimeNs: anyTimeNs,
    ctimeNs: anyTimeNs,
    inode: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 99n })),
    filesystem: fc.nat(1),
    linkCount: fc.oneof(fc.nat(3), uint32),
    xattrs: anyXattrs,
    acl: anyAclList.map((access) => ({ access })),
    unsettled: fc.constant(true),
    unreadable: fc.constantFrom('EACCES', 'EIO'),
    stored: fc.oneof(
      fc.constantFrom({ kind: 'own' } as const, { kind: 'manifest' } as const),
      anyPath.map((at) => ({ kind: 'elsewhere', at }) as const),
    ),
  },
  {
    requiredKeys: ['mode', 'uid', 'gid', 'mtimeNs', 'ctimeNs', 'inode', 'filesystem', 'linkCount', 'stored'],
  },
);
const special = fc.oneof(
  fc
    .record(
      {
        sizeBytes: fc.nat(Number.MAX_SAFE_INTEGER - 2 ** 36),
        sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
        extents: anyExtents,
      },
      { requiredKeys: ['sizeBytes'], noNullPrototype: true },
    )
    .map(({ extents, sizeBytes, ...rest }) => {
      if (extents === undefined) return { type: 'file' as const, sizeBytes: sizeBytes % 2 ** 40, ...rest };
      let at = 0;
      const placed = extents.map(([holeBytes, lengthBytes]) => {
        const offsetBytes = at + holeBytes;
        at = offsetBytes + lengthBytes;
        return { offsetBytes, lengthBytes };
      });
      return { type: 'file' as const, sizeBytes: at, extents: placed, ...rest };
    }),
  fc
    .record({ sizeBytes: fc.constant(0), defaults: fc.option(anyAclList, { nil: undefined }) })
    .map(({ sizeBytes, defaults }) => ({
      type: 'directory' as const,
      sizeBytes,
      ...(defaults === undefined ? {} : { acl: { default: defaults } }),
    })),
  fc.record({ type: fc.constant('symlink' as const), sizeBytes: fc.constant(0), target: anyPath }),
  fc.record({ type: fc.constantFrom('fifo', 'socket'), sizeBytes: fc.constant(0) }),
  fc.record({
    type: fc.constantFrom('char', 'block'),
    sizeBytes: fc.constant(0),
    device: fc.record({ major: uint32, minor: uint32 }, { noNullPrototype: true }),
  }),
);

/** Entries that a manifest may hold, in order. */
export const anyEntries: fc.Arbitrary<Entry[]> = fc
  .uniqueArray(anyPath, { maxLength: 12, selector: (path) => path.toString('latin1') })
  .chain((paths) =>
    fc.tuple(
      ...paths.map((path) => fc.tuple(common, special).map(([a, b]): Entry => ({ path, ...a, ...b }))),
    ),
  )
  .map((entries) => withoutChildrenOfFiles(entries.sort((a, b) => comparePaths(a.path, b.path))));

/** Makes a folder of whatever has something below it. */
function withoutChildrenOfFiles(entries: readonly Entry[]): Entry[] {
  return entries.map((entry) => {
    const folder = `${entry.path.toString('latin1')}/`;
    const hasChildren = entries.some(({ path }) => path.toString('latin1').startsWith(folder));
    return hasChildren && entry.type !== 'directory' ? otherEntry(entry.path, 'directory') : entry;
  });
}
