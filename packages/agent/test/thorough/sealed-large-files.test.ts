import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { deepStrictEqual, equal, ok } from 'node:assert/strict';
import t from 'tap';
import type { Extent } from '@bakker/impl-format';
import { generatePrivateKey, Keyring, openSealed, publicKeyOf, Sealer } from '@bakker/impl-format/sealed';
import type { Piece, ReadStored } from '../../src/sealed/open-chunks.ts';
import { openExtents } from '../../src/sealed/open-content.ts';
import { PackedFile } from '../../src/sealed/packed-file.ts';
import type { SealedFile } from '../../src/sealed/sealing.ts';
import { StridedFile } from '../../src/sealed/strided-file.ts';
import type { FileSink } from '../../src/ports/storage-account.ts';
import { createHash } from 'node:crypto';

const CHUNK = 64 * 1024;
const privateKey = generatePrivateKey();
const sealer = new Sealer([publicKeyOf(privateKey)]);
const keyring = new Keyring([privateKey]);

/** A file in memory. What is not written is zeros, as on a disk. */
class MemoryFile implements FileSink {
  bytes = Buffer.alloc(0);
  #lastEnd = 0;

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    ok(offsetBytes >= this.#lastEnd, 'writes rise, as a storage that hashes them likes');
    this.#lastEnd = offsetBytes + bytes.length;
    if (this.bytes.length < this.#lastEnd)
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(this.#lastEnd - this.bytes.length)]);
    bytes.copy(this.bytes, offsetBytes);
  }

  read: ReadStored = async function* (this: MemoryFile, extents: readonly Extent[]) {
    for (const { offsetBytes, lengthBytes } of extents) {
      const end = Math.min(offsetBytes + lengthBytes, this.bytes.length);
      for (let at = offsetBytes; at < end; at += 100_000)
        yield { offsetBytes: at, bytes: this.bytes.subarray(at, Math.min(at + 100_000, end)) };
    }
  }.bind(this);

  async restart(): Promise<void> {}
  async finish(): Promise<void> {}
  async discard(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A size around chunks, and where it has data. */
const shape = fc
  .tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: -2, max: 2 }),
    fc.array(fc.tuple(fc.nat(5 * CHUNK), fc.integer({ min: 1, max: 3 * CHUNK })), { maxLength: 4 }),
    fc.boolean(),
  )
  .map(([chunks, off, gaps, isAligned]) => {
    const sizeBytes = Math.max(1, chunks * CHUNK + off);
    const extents: Extent[] = [];
    let at = 0;
    for (const [gap, length] of gaps) {
      const unit = isAligned ? 4096 : 1;
      const offsetBytes = at + Math.ceil(gap / unit) * unit;
      const lengthBytes = Math.min(length, sizeBytes - offsetBytes);
      if (lengthBytes < 1) break;
      extents.push({ offsetBytes, lengthBytes });
      at = offsetBytes + lengthBytes + 1;
    }
    return { sizeBytes, extents };
  });

for (const kind of ['strided', 'packed'] as const)
  t.test(`what a ${kind} file is made of comes back, holes and all, read whole or by its data`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        shape,
        fc.integer({ min: 1, max: 200_000 }),
        async ({ sizeBytes, extents }, pieceBytes) => {
          const content = Buffer.alloc(sizeBytes);
          for (const { offsetBytes, lengthBytes } of extents)
            randomBytes(lengthBytes).copy(content, offsetBytes);
          const stored = new MemoryFile();
          const about = { sizeBytes, isHashed: true };
          using file: SealedFile =
            kind === 'strided'
              ? new StridedFile(sealer.strided(sizeBytes), stored, about)
              : new PackedFile(sealer, stored, about);
          for (const { offsetBytes, lengthBytes } of extents) {
            const end = offsetBytes + lengthBytes;
            for (let at = offsetBytes; at < end; at += pieceBytes)
              await file.write(at, Buffer.from(content.subarray(at, Math.min(at + pieceBytes, end))));
          }
          const told = await file.end();
          equal(told.sizeBytes, stored.bytes.length);
          ok(told.sha256?.equals(createHash('sha256').update(stored.bytes).digest()));

          const all = { offsetBytes: 0, lengthBytes: Number.MAX_SAFE_INTEGER };
          const source = (async function* () {
            for await (const { bytes } of stored.read([all])) yield bytes;
          })();
          ok(Buffer.concat(await Array.fromAsync(openSealed(source, keyring))).equals(content));
          if (extents.length === 0) return;
          const found = Buffer.alloc(sizeBytes);
          const covered: Extent[] = [];
          for await (const { offsetBytes, bytes } of openExtents(
            stored.read,
            { extents, sizeBytes },
            keyring,
          )) {
            bytes.copy(found, offsetBytes);
            const last = covered.at(-1);
            if (last !== undefined && last.offsetBytes + last.lengthBytes === offsetBytes)
              covered[covered.length - 1] = { ...last, lengthBytes: last.lengthBytes + bytes.length };
            else covered.push({ offsetBytes, lengthBytes: bytes.length });
          }
          ok(found.equals(content));
          deepStrictEqual(covered, extents, 'exactly what was asked for, in order');
        },
      ),
      { numRuns: 60 },
    );
    t.pass('60 files');
  });

/** Both, as a manifest tells extents: ascending, and apart. */
function union(left: readonly Extent[], right: readonly Extent[]): Extent[] {
  const all: Extent[] = [];
  for (const { offsetBytes, lengthBytes } of [...left, ...right].sort(
    (a, b) => a.offsetBytes - b.offsetBytes,
  )) {
    const last = all.at(-1);
    const endBytes = offsetBytes + lengthBytes;
    if (last === undefined || last.offsetBytes + last.lengthBytes < offsetBytes)
      all.push({ offsetBytes, lengthBytes });
    else
      all[all.length - 1] = {
        offsetBytes: last.offsetBytes,
        lengthBytes: Math.max(last.lengthBytes, endBytes - last.offsetBytes),
      };
  }
  return all;
}

t.test('holes of the sealed file may lie within data that the manifest names', async (t) => {
  await fc.assert(
    fc.asyncProperty(shape, shape, fc.nat(), async ({ sizeBytes, extents }, more, cut) => {
      const content = Buffer.alloc(sizeBytes);
      for (const { offsetBytes, lengthBytes } of extents) randomBytes(lengthBytes).copy(content, offsetBytes);
      const stored = new MemoryFile();
      using file = new StridedFile(sealer.strided(sizeBytes), stored, { sizeBytes, isHashed: false });
      for (const { offsetBytes, lengthBytes } of extents)
        await file.write(offsetBytes, Buffer.from(content.subarray(offsetBytes, offsetBytes + lengthBytes)));
      await file.end();
      const zeros = more.extents.flatMap(({ offsetBytes, lengthBytes }) =>
        offsetBytes < sizeBytes
          ? [{ offsetBytes, lengthBytes: Math.min(lengthBytes, sizeBytes - offsetBytes) }]
          : [],
      );
      // from anywhere on, as after a cut line
      const fromBytes = cut % sizeBytes;
      const wanted = union(extents, zeros)
        .filter(({ offsetBytes, lengthBytes }) => offsetBytes + lengthBytes > fromBytes)
        .map(({ offsetBytes, lengthBytes }) => {
          const startBytes = Math.max(offsetBytes, fromBytes);
          return { offsetBytes: startBytes, lengthBytes: offsetBytes + lengthBytes - startBytes };
        });
      if (wanted.length === 0) return;
      let wantedBytes = 0;
      for (const { lengthBytes } of wanted) wantedBytes += lengthBytes;
      for await (const { offsetBytes, bytes } of openExtents(
        stored.read,
        { extents: wanted, sizeBytes },
        keyring,
      )) {
        ok(bytes.equals(content.subarray(offsetBytes, offsetBytes + bytes.length)), `at ${offsetBytes}`);
        wantedBytes -= bytes.length;
      }
      equal(wantedBytes, 0, 'all that was asked for');
    }),
    { numRuns: 200 },
  );
  t.pass('200 files');
});

t.test('a chunk that was wiped is no hole', async (t) => {
  const sizeBytes = 9 * CHUNK;
  const content = randomBytes(sizeBytes);
  const stored = new MemoryFile();
  const strided = sealer.strided(sizeBytes);
  using file = new StridedFile(strided, stored, { sizeBytes, isHashed: false });
  await file.write(0, Buffer.from(content.subarray(0, 2 * CHUNK)));
  await file.write(5 * CHUNK, Buffer.from(content.subarray(5 * CHUNK)));
  await file.end();
  const extents = [
    { offsetBytes: CHUNK, lengthBytes: CHUNK },
    { offsetBytes: 4 * CHUNK, lengthBytes: 5 * CHUNK },
  ];
  const open = (): Promise<unknown> =>
    Array.fromAsync(openExtents(stored.read, { extents, sizeBytes }, keyring));
  await open();
  for (const index of [1, 2, 5, 7, 8]) {
    const before = Buffer.from(stored.bytes);
    stored.bytes.fill(0, strided.offset(index), Math.min(strided.offset(index + 1), before.length));
    await t.rejects(open(), { name: 'SealBroken' }, `chunk ${index}`);
    stored.bytes = before;
  }
  stored.bytes = stored.bytes.subarray(0, strided.offset(6));
  await t.rejects(open(), { name: 'SealBroken' }, 'cut off');
});

t.test('what unpacks to more than the manifest says is refused before it does', async (t) => {
  const stored = new MemoryFile();
  const sizeBytes = 2 ** 30;
  using file = new PackedFile(sealer, stored, { sizeBytes, isHashed: false });
  await file.write(0, Buffer.alloc(70_000, 'text '));
  await file.end();
  t.ok(stored.bytes.length < 200_000, `${stored.bytes.length} bytes`);
  const given: Piece[] = [];
  const open = async (): Promise<void> => {
    const wanted = { extents: [{ offsetBytes: 0, lengthBytes: 70_000 }], sizeBytes: 100_000 };
    for await (const piece of openExtents(stored.read, wanted, keyring)) given.push(piece);
  };
  await t.rejects(open(), { name: 'SealBroken', message: /longer than the manifest says/ });
  t.equal(given.length, 0);
});

t.test('a gap of gigabytes costs neither time nor room', async (t) => {
  const sizeBytes = 1024 ** 4;
  const stored = new MemoryFile();
  let endBytes = 0;
  const sink: FileSink = Object.assign(new MemoryFile(), {
    write: async (offsetBytes: number, bytes: Buffer) => {
      endBytes = offsetBytes + bytes.length;
      if (offsetBytes < 10_000_000) await stored.write(offsetBytes, bytes);
    },
  });
  using file = new StridedFile(sealer.strided(sizeBytes), sink, { sizeBytes, isHashed: false });
  await file.write(3 * CHUNK, Buffer.from('some data'));
  const told = await file.end();
  t.equal(told.sizeBytes, endBytes);
  t.ok(stored.bytes.length < 400_000, `${stored.bytes.length} bytes`);
  const pieces = await Array.fromAsync(
    openExtents(stored.read, { extents: [{ offsetBytes: 3 * CHUNK, lengthBytes: 9 }], sizeBytes }, keyring),
  );
  t.equal(Buffer.concat(pieces.map(({ bytes }) => bytes)).toString(), 'some data');
});

t.test('more or less than was said is a fault of ours, and noticed', async (t) => {
  for (const make of [
    (sink: FileSink) =>
      new StridedFile(sealer.strided(100_000), sink, { sizeBytes: 100_000, isHashed: false }),
    (sink: FileSink) => new PackedFile(sealer, sink, { sizeBytes: 100_000, isHashed: false }),
  ]) {
    using file = make(new MemoryFile());
    await t.rejects(
      file.write(0, Buffer.alloc(100_001)).then(() => file.end()),
      /more was written/,
    );
  }
});
