import fc from 'fast-check';
import t from 'tap';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { checkManifestBytes, ManifestError } from '../src/index.ts';
import { fileEntry, otherEntry, piecesOf, readAll, writeManifest } from './samples.ts';

const ENTRIES = [
  otherEntry('folder', 'directory'),
  ...Array.from({ length: 20 }, (_, i) =>
    fileEntry(`folder/file-${String(i).padStart(2, '0')}`, {
      sizeBytes: i * i * 997,
      inode: BigInt(i) * 7919n,
      sha256: Buffer.alloc(32, i * 31),
    }),
  ),
];
const MANIFEST = await writeManifest(ENTRIES);
const WHOLE = await readAll(MANIFEST);

t.test('a single bit that flipped is noticed, or changes nothing', async (t) => {
  let noticed = 0;
  for (let bit = 0; bit < MANIFEST.length * 8; bit++) {
    const damaged = Buffer.from(MANIFEST);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const read = await resultOf(damaged);
    if (read === undefined) noticed++;
    else t.strictSame(read, WHOLE, `bit ${bit}`);
  }
  t.ok(noticed > MANIFEST.length * 8 - 64, `${noticed} of ${MANIFEST.length * 8} flips are refused`);
});

t.test('every truncation is refused', async (t) => {
  for (let length = 0; length < MANIFEST.length; length++) {
    const cut = MANIFEST.subarray(0, length);
    t.equal(await resultOf(cut), undefined, `${length} bytes`);
    await t.rejects(checkManifestBytes(piecesOf(cut, 64)), { name: 'ManifestError' });
  }
});

t.test('a single bit that flipped before compressing is always refused', async (t) => {
  const text = zstdDecompressSync(MANIFEST);
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length * 8 - 1), async (bit) => {
      const damaged = Buffer.from(text);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const read = await resultOf(zstdCompressSync(damaged));
      // finishedAt and addedBytes are in the trailer, which the digest can't cover.
      if (read !== undefined)
        t.strictSame(
          { ...read.trailer, finishedAtMs: 0, addedBytes: 0 },
          { ...WHOLE.trailer, finishedAtMs: 0, addedBytes: 0 },
        );
      if (read !== undefined) t.strictSame(read.entries, WHOLE.entries);
    }),
    { numRuns: 1500 },
  );
});

t.test('a stretch of other bytes is noticed, or changes nothing', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(MANIFEST.length - 1),
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      async (at, bytes) => {
        const damaged = Buffer.concat([
          MANIFEST.subarray(0, at),
          bytes,
          MANIFEST.subarray(at + bytes.length),
        ]);
        const read = await resultOf(damaged);
        if (read !== undefined) t.strictSame(read, WHOLE);
      },
    ),
    { numRuns: 800 },
  );
});

/** What a damaged manifest reads as; undefined if it was refused as it should. */
async function resultOf(bytes: Uint8Array) {
  try {
    return await readAll(bytes, 100);
  } catch (error) {
    if (error instanceof ManifestError) return undefined;
    throw error;
  }
}
