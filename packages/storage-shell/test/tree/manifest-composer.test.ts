import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { zstdDecompressSync } from 'node:zlib';
import {
  checkManifestBytes,
  comparePaths,
  encodeManifest,
  MANIFEST_PIECE,
  ManifestDeltaEncoder,
  type Entry,
  type ManifestHeader,
} from '@bakker/impl-format';
import { openFolder } from '@bakker/linux';
import { ManifestComposer } from '../../src/adapters/tree/manifest-composer.ts';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';

const PARENT = '2024_04_18_01';
const RUN = '2024_04_19_01';
const { FILE, DELTA, START_OVER } = MANIFEST_PIECE;

t.test('a manifest told as differences is the one that was meant, byte for byte of its text', async (t) => {
  const path = fc
    .array(fc.constantFrom('a', 'b', 'a b', 'é', '"q"', '\\', '\n', 'c-1', 'dir'), {
      minLength: 1,
      maxLength: 3,
    })
    .map((parts) => Buffer.from(parts.join('/')));
  const paths = fc.uniqueArray(fc.oneof(path, fc.constant(Buffer.from([0xff]))), {
    selector: (path) => path.toString('latin1'),
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(
      paths,
      fc.array(fc.nat(3), { minLength: 60, maxLength: 60 }),
      fc.integer({ min: 1, max: 400 }),
      async (drawn, fates, pieceBytes) => {
        const parent = sorted(drawn.map((path) => entry(path, 1n)));
        const run = sorted(
          parent.flatMap((before, i) => {
            const fate = fates[i];
            if (fate === 0) return [];
            if (fate === 1) return [entry(before.path, 2n)];
            if (fate === 2) return [{ ...before, path: Buffer.concat([before.path, Buffer.from('.moved')]) }];
            return [before];
          }),
        );
        await using world = await composerWorld(await manifest(PARENT, parent));
        const wanted = await manifest(RUN, run);
        const sent = deltas(textOf(await manifest(PARENT, parent)), textOf(wanted), pieceBytes);
        const results = sent.map((piece) => world.composer.piece(DELTA, piece));
        await Promise.all(results);
        const { sha256, sizeBytes } = await world.composer.finish(null);
        const composed = readFileSync(world.temporary);
        t.equal(textOf(composed), textOf(wanted));
        t.equal(sizeBytes, composed.length);
        t.equal(sha256, createHash('sha256').update(composed).digest('hex'));
        await checkManifestBytes(oneByOne([composed]), { run: RUN });
      },
    ),
    { numRuns: 60 },
  );
});

t.test('100,000 kept lines are two operations', async (t) => {
  const entries = Array.from({ length: 100_000 }, (_, i) =>
    entry(Buffer.from(`f${String(i).padStart(6, '0')}`), 1n),
  );
  await using world = await composerWorld(await manifest(PARENT, entries));
  const wanted = textOf(await manifest(RUN, entries)).split('\n');
  const encoder = new ManifestDeltaEncoder();
  encoder.lines(Buffer.from(`${wanted[0]}\n`));
  for (let i = 0; i < 100_000; i++) encoder.keep(1);
  encoder.lines(Buffer.from(`${wanted.at(-2)}\n`));
  await world.composer.piece(DELTA, encoder.take());
  await world.composer.finish(null);
  t.equal(textOf(readFileSync(world.temporary)), wanted.join('\n'));
});

t.test('a manifest is taken as it is, in pieces, and started over', async (t) => {
  await using world = await composerWorld(undefined);
  const bytes = await manifest(RUN, [entry(Buffer.from('a'), 1n)]);
  await world.composer.piece(FILE, Buffer.from('nonsense'));
  await t.rejects(world.composer.piece(DELTA, Buffer.of(0)), { code: 'OUT_OF_ORDER' });
  await t.rejects(world.composer.piece(FILE, bytes), { code: 'OUT_OF_ORDER' }, 'only starting over helps');
  await world.composer.piece(FILE | START_OVER, bytes.subarray(0, 50));
  await world.composer.piece(FILE, bytes.subarray(50));
  await t.rejects(world.composer.finish(null), { code: 'OUT_OF_ORDER' });
  await t.rejects(world.composer.finish('ab'.repeat(32)), { code: 'MANIFEST_DAMAGED' });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  t.strictSame(await world.composer.finish(sha256), { sha256, sizeBytes: bytes.length });
  t.strictSame(readFileSync(world.temporary), bytes);
  await t.rejects(world.composer.piece(FILE | START_OVER, bytes), { code: 'OUT_OF_ORDER' });
  await world.composer[Symbol.asyncDispose]();
  t.strictSame(readFileSync(world.temporary), bytes, 'what was finished stays');
});

t.test('lies are refused, and nothing but the temporary file was ever there', async (t) => {
  const parent = [entry(Buffer.from('a'), 1n), entry(Buffer.from('b'), 1n)];
  const lines = textOf(await manifest(RUN, parent))
    .split('\n')
    .map((line) => Buffer.from(`${line}\n`));
  const [header, a, b, trailer] = lines;
  const lies: Record<string, [string, (encoder: ManifestDeltaEncoder) => void]> = {
    'keeping more than there is': ['PARENT_CHANGED', (to) => (to.lines(header!), to.keep(3))],
    'dropping more than there is': ['PARENT_CHANGED', (to) => to.drop(3)],
    'keeping 4,000,000,000 lines': ['PARENT_CHANGED', (to) => to.keep(4e9)],
    'moving what is not there': ['PARENT_CHANGED', (to) => to.moved(Buffer.from('x'), Buffer.from('nope'))],
    'keeping within a line': ['OUT_OF_ORDER', (to) => (to.lines(header!.subarray(0, 9)), to.keep(1))],
    'other text than the trailer says': [
      'MANIFEST_DAMAGED',
      (to) => to.lines(Buffer.concat([header!, a!, trailer!])),
    ],
    'no trailer': ['MANIFEST_DAMAGED', (to) => to.lines(Buffer.concat([header!, a!, b!]))],
    'no end': [
      'MANIFEST_DAMAGED',
      (to) => to.lines(Buffer.concat([header!, a!, b!, trailer!.subarray(0, -1)])),
    ],
    'no header': ['MANIFEST_DAMAGED', (to) => to.lines(trailer!)],
    nothing: ['MANIFEST_DAMAGED', () => undefined],
  };
  for (const [lie, [code, write]] of Object.entries(lies)) {
    await using world = await composerWorld(await manifest(PARENT, parent));
    const encoder = new ManifestDeltaEncoder();
    write(encoder);
    const done = world.composer.piece(DELTA, encoder.take()).then(() => world.composer.finish(null));
    await t.rejects(done, { code }, lie);
    await world.composer[Symbol.asyncDispose]();
    t.strictSame(readdirSync(world.folder).sort(), ['.bakker', `${PARENT}.impl`]);
    t.strictSame(readdirSync(join(world.folder, '.bakker')), []);
  }
  await using other = await composerWorld(await manifest(PARENT, parent));
  const another = new ManifestDeltaEncoder();
  another.lines(Buffer.from(textOf(await manifest('2024_04_20_01', parent))));
  await other.composer.piece(DELTA, another.take());
  await t.rejects(other.composer.finish(null), { code: 'MANIFEST_DAMAGED' }, 'of another run');
  await t.rejects(other.composer.piece(DELTA | START_OVER, Buffer.of(0, 9)), { code: 'MALFORMED' });
  await t.rejects(other.composer.piece(3 | START_OVER, Buffer.of(0)), { code: 'OUT_OF_ORDER' });
});

t.test('moved lines may go back 64 times', async (t) => {
  const parent = [entry(Buffer.from('a'), 1n), entry(Buffer.from('b'), 1n)];
  await using world = await composerWorld(await manifest(PARENT, parent));
  for (let i = 0; i < 65; i++) await world.composer.piece(DELTA, moved('a'));
  await t.rejects(world.composer.piece(DELTA, moved('a')), { code: 'OUT_OF_ORDER' });
});

t.test('a manifest of the parent that is damaged is told from one that is whole', async (t) => {
  const bytes = await manifest(PARENT, [entry(Buffer.from('a'), 1n)]);
  bytes[bytes.length >> 1]! ^= 0xff;
  await using world = await composerWorld(bytes);
  await t.rejects(world.composer.piece(DELTA, moved('a')), { code: /PARENT_CHANGED|DAMAGED|MALFORMED/ });
});

t.test('a full disk fails the piece, and disposing frees what was taken', async (t) => {
  await using filesystem = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 8e6 });
  await using world = await composerWorld(undefined, filesystem.folder);
  const piece = Buffer.alloc(1e6, 1);
  await t.rejects(
    async () => {
      for (;;) await world.composer.piece(FILE, piece);
    },
    { code: 'ENOSPC' },
  );
  await t.rejects(world.composer.finish('ab'.repeat(32)), { code: 'ENOSPC' });
  await world.composer[Symbol.asyncDispose]();
  t.strictSame(readdirSync(join(world.folder, '.bakker')), []);
  writeFileSync(join(world.folder, 'fits-again'), Buffer.alloc(3e6));
});

async function composerWorld(parent: Buffer | undefined, top = '/tmp') {
  const folder = mkdtempSync(join(top, 'bakker-composer-'));
  mkdirSync(join(folder, '.bakker'));
  if (parent !== undefined) writeFileSync(join(folder, `${PARENT}.impl`), parent);
  const account = openFolder(Buffer.from(folder));
  const composer = new ManifestComposer({
    ...{ account, run: RUN, temporary: Buffer.from('.bakker/new.impl') },
    parentManifest: parent === undefined ? undefined : Buffer.from(`${PARENT}.impl`),
  });
  return {
    ...{ folder, composer, temporary: join(folder, '.bakker/new.impl') },
    async [Symbol.asyncDispose]() {
      await composer[Symbol.asyncDispose]();
      account[Symbol.dispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The difference as a reader of the two texts would tell it, cut into pieces. */
function deltas(parent: string, run: string, pieceBytes: number): Buffer[] {
  const encoder = new ManifestDeltaEncoder();
  const pieces: Buffer[] = [];
  const before = parent.split('\n').slice(1, -2);
  const moves = new Map(before.map((line) => [restOf(line), line]));
  let next = 0;
  for (const line of run.split('\n').slice(0, -1)) {
    const at = before.indexOf(line, next);
    const movedLine = moves.get(restOf(line));
    if (at >= 0) {
      encoder.drop(at - next);
      encoder.keep(1);
      next = at + 1;
    } else if (
      movedLine === undefined ||
      !line.startsWith('{"path":') ||
      !encoder.moved(pathOf(line), pathOf(movedLine))
    ) {
      const bytes = Buffer.from(`${line}\n`);
      encoder.lines(bytes.subarray(0, 7));
      pieces.push(encoder.take());
      encoder.lines(bytes.subarray(7));
    }
    if (encoder.sizeBytes >= pieceBytes) pieces.push(encoder.take());
  }
  pieces.push(encoder.take());
  return pieces;
}

function restOf(line: string): string {
  return line.slice(line.indexOf('"type"'));
}

function pathOf(line: string): Buffer {
  const { path } = JSON.parse(line) as { path: string | { b64: string } };
  return typeof path === 'string' ? Buffer.from(path) : Buffer.from(path.b64, 'base64');
}

function moved(from: string): Buffer {
  const encoder = new ManifestDeltaEncoder();
  encoder.moved(Buffer.from('x'), Buffer.from(from));
  return encoder.take();
}

let inodes = 0n;

function entry(path: Buffer, mtimeNs: bigint): Entry {
  inodes++;
  return {
    ...{ path, type: 'directory', sizeBytes: 0, mode: 0o755, uid: 0, gid: 0, mtimeNs, ctimeNs: mtimeNs },
    ...{ inode: inodes, filesystem: 0, linkCount: 1, stored: { kind: 'own' } },
  };
}

function sorted(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((a, b) => comparePaths(a.path, b.path));
}

async function manifest(run: string, entries: readonly Entry[]): Promise<Buffer> {
  const header: ManifestHeader = {
    ...{ run, parent: null, parentDigest: null, host: 'h', agent: '0', startedAtMs: 0, sources: [] },
    filesystems: [{ mountPoint: Buffer.from('/'), type: 'ext4' }],
  };
  return Buffer.concat(
    await Array.fromAsync(
      encodeManifest(header, oneByOne([entries]), () => ({ finishedAtMs: 0, addedBytes: 0 })),
    ),
  );
}

async function* oneByOne<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

function textOf(compressed: Buffer): string {
  return zstdDecompressSync(compressed).toString();
}
