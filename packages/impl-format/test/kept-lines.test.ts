import fc from 'fast-check';
import { createHash } from 'node:crypto';
import t from 'tap';
import type { Entry } from '../src/entry.ts';
import { createManifestEncoder, markMoved, originOf, readManifest } from '../src/index.ts';
import { FINISH, HEADER, anyEntries, fileEntry, piecesOf, textOf, writeManifest } from './samples.ts';

/** Entries as a reader gives them that keeps their lines. */
async function read(bytes: Uint8Array): Promise<Entry[]> {
  const reader = await readManifest(piecesOf(bytes), { keepLines: true });
  return (await Array.fromAsync(reader.batches())).flat();
}

/** A manifest of `entries`, with what a follower was told. */
async function write(entries: readonly Entry[], header = HEADER) {
  const told: (string | number)[] = [];
  using encoder = createManifestEncoder(header, {
    kept: (number) => told.push(number),
    moved: (path, from) => told.push(`${from.toString()} -> ${path.toString()}`),
    line: (bytes) => told.push(bytes.toString('latin1')),
  });
  const chunks = [...(await encoder.encode(entries))];
  const { chunks: last } = await encoder.finish(FINISH);
  return { bytes: Buffer.concat([...chunks, ...last]), told };
}

t.test('entries with their lines make the same manifest as entries made anew', async () => {
  await fc.assert(
    fc.asyncProperty(anyEntries, async (entries) => {
      const bytes = await writeManifest(entries);
      const again = await write(await read(bytes));
      if (!again.bytes.equals(bytes)) throw new Error('other bytes');
    }),
    { numRuns: 50 },
  );
});

t.test('a follower that has the parent can put the text together', async (t) => {
  const entries = Array.from({ length: 3000 }, (_, index) => fileEntry(`f${String(index).padStart(5, '0')}`));
  const parentBytes = await writeManifest(entries);
  const parentLines = textOf(parentBytes).split('\n').slice(1, -2);
  const parent = await read(parentBytes);
  const kept = parent.filter((_, index) => index % 100 !== 7);
  const changed = kept.map((entry, index) => (index % 50 === 3 ? { ...entry, sizeBytes: 9 } : entry));
  const moved = markMoved({ ...fileEntry('g'), inode: 77n }, Buffer.from('elsewhere'));
  const { bytes, told } = await write([...changed, moved]);
  const lines = told.map((one) => (typeof one === 'number' ? `${parentLines[one] ?? 'none'}\n` : one));
  const at = lines.indexOf('elsewhere -> g');
  t.not(at, -1);
  lines[at] = `${textOf(await writeManifest([moved])).split('\n')[1] ?? ''}\n`;
  t.equal(lines.join(''), textOf(bytes));
  t.equal(told.filter((one) => typeof one === 'number').length, kept.length - 60);
});

t.test('a copy of an entry is not taken for what was read', async (t) => {
  const [entry] = await read(await writeManifest([fileEntry('a')]));
  if (!entry) throw new Error('no entry');
  t.equal(originOf(entry)?.kind, 'line');
  const changed = { ...entry, sizeBytes: 4 };
  t.equal(originOf(changed), undefined);
  const { bytes, told } = await write([changed]);
  t.match(textOf(bytes), /"size":4/);
  t.notOk(told.some((one) => typeof one === 'number'));
});

t.test(
  'a line that names a file system which the header lacks is refused, also when it was read',
  async (t) => {
    const [entry] = await read(await writeManifest([fileEntry('a', { filesystem: 1 })]));
    if (!entry) throw new Error('no entry');
    await t.rejects(write([entry], { ...HEADER, filesystems: HEADER.filesystems.slice(0, 1) }), {
      code: 'MALFORMED',
    });
  },
);

t.test('the digest covers lines that were kept', async (t) => {
  const { bytes } = await write(await read(await writeManifest([fileEntry('a'), fileEntry('b')])));
  const lines = textOf(bytes).split('\n').slice(0, -1);
  const trailer = lines.pop() ?? '';
  const digest = createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex');
  t.match(trailer, digest);
});
