import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { openKeptZstd } from '../src/index.ts';

const SIZES = [1, 100, 4096, 65_535, 65_536, 65_537, 300_000];

function text(sizeBytes: number): Buffer {
  const lines = Array.from({ length: Math.ceil(sizeBytes / 20) }, (_, index) => `line ${index} of a text\n`);
  return Buffer.from(lines.join('')).subarray(0, sizeBytes);
}

function shared(bytes: Buffer): Buffer {
  const copy = Buffer.from(new SharedArrayBuffer(bytes.length + 10), 5, bytes.length);
  bytes.copy(copy);
  return copy;
}

t.test("frames are those of Node.js's own zstd, from any memory", async (t) => {
  const zstd = openKeptZstd();
  if (!zstd) throw new Error('the Node.js that is carried along exports it');
  for (const size of SIZES) {
    const content = text(size);
    for (const from of [content, shared(content)]) {
      const frame = zstd.compress(from);
      if (size >= 100) t.ok(frame && zstdDecompressSync(frame).equals(content), `${size} bytes compressed`);
      else t.equal(frame, undefined, 'a frame that is no smaller is none');
    }
    const frame = zstdCompressSync(content);
    for (const from of [frame, shared(frame)])
      t.same(zstd.decompress(from, size), content, `${size} bytes decompressed`);
  }
  t.equal(zstd.compress(randomBytes(50_000)), undefined, 'noise is not smaller');
});

t.test('what has more content than was allowed, is cut off or is no frame is not given out', async (t) => {
  const zstd = openKeptZstd();
  const content = text(10_000);
  const frame = Buffer.from(zstd?.compress(content) ?? []);
  t.equal(zstd?.decompress(frame, content.length - 1), 'too long');
  t.equal(zstd?.decompress(zstdCompressSync(Buffer.alloc(50_000_000)), 1000), 'too long');
  t.equal(zstd?.decompress(zstdCompressSync(Buffer.from('x')), 0), 'too long');
  for (const cut of [1, 4, frame.length - 1])
    t.equal(zstd?.decompress(frame.subarray(0, cut), 20_000), 'damaged');
  t.equal(zstd?.decompress(randomBytes(1000), 20_000), 'damaged');
  t.same(zstd?.decompress(frame, 20_000), content, 'the context is as good as before');
});
