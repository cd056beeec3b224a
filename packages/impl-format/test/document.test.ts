import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { encodeManifest, type Entry } from '../src/index.ts';
import { inBatches, readAll, textOf } from './samples.ts';

const DOCUMENT = readFileSync(new URL('../../../docs/impl-format.md', import.meta.url), 'utf8');
const WORKED_EXAMPLE = /## Worked example\n[^`]*`([0-9a-f]{64})`[^`]*```text\n(.*?)```/s.exec(DOCUMENT);
const DIGEST = WORKED_EXAMPLE?.[1] ?? '';
const TEXT = WORKED_EXAMPLE?.[2] ?? '';

t.test('the example in the document is what the reader reads', async (t) => {
  const { header, entries, trailer } = await readAll(zstdCompressSync(TEXT));
  t.equal(header.run, '2024_04_19_01');
  t.equal(entries.length, 7);
  t.strictSame(entries.map(({ path }) => path.toString('latin1')).at(-2), 'srv/www/latin1-\xe9');
  t.equal(entries.find(({ unreadable }) => unreadable === 'EACCES')?.mtimeNs, -1n);
  t.strictSame(entries.find(({ unsettled }) => unsettled)?.extents, [
    { offsetBytes: 0, lengthBytes: 4096 },
    { offsetBytes: 2 ** 29, lengthBytes: 65_536 },
  ]);
  t.equal(trailer.digest, DIGEST);
  const beforeTrailer = TEXT.slice(0, TEXT.lastIndexOf('\n', TEXT.length - 2) + 1);
  t.equal(createHash('sha256').update(beforeTrailer).digest('hex'), DIGEST);
});

t.test('the example in the document is what the writer writes', async (t) => {
  const { header, entries, trailer } = await readAll(zstdCompressSync(TEXT));
  const chunks = await Array.fromAsync(encodeManifest(header, inBatches(entries), () => trailer));
  t.equal(Buffer.from(textOf(Buffer.concat(chunks)), 'latin1').toString('utf8'), TEXT);
});

t.test('the tables name the keys in the order in which they are written', async (t) => {
  const everything: Entry = {
    path: Buffer.from('x'),
    type: 'file',
    sizeBytes: 1,
    mode: 0,
    uid: 0,
    gid: 0,
    user: 'u',
    group: 'g',
    mtimeNs: 0n,
    ctimeNs: 0n,
    inode: 0n,
    filesystem: 1,
    linkCount: 2,
    sha256: Buffer.alloc(32),
    acl: { access: [{ tag: 'mask', perms: 7 }] },
    xattrs: [{ name: Buffer.from('user.x'), value: Buffer.alloc(0) }],
    extents: [],
    sealedBytes: 138,
    stored: { kind: 'elsewhere', at: Buffer.from('y') },
    unsettled: true,
    unreadable: 'EIO',
  };
  const { header, trailer } = await readAll(zstdCompressSync(TEXT));
  const manifest = Buffer.concat(
    await Array.fromAsync(
      encodeManifest(
        { ...header, recipients: ['0123456789abcdef'], nameKey: Buffer.alloc(32) },
        inBatches([everything]),
        () => trailer,
      ),
    ),
  );
  const keys = textOf(manifest).split('\n').slice(0, 3).map(keysOf);
  const notOfFiles = ['rdev', 'target', 'nameId'];
  const ofFiles = keysInTable('Entry').filter((key) => !notOfFiles.includes(key));
  t.equal(keysInTable('Entry').at(-1), 'nameId');
  t.strictSame(keys, [keysInTable('Header'), ofFiles, keysInTable('Trailer')]);
});

function keysOf(line: string): string[] {
  const value: object = JSON.parse(line);
  return Object.keys(value);
}

/** The first column of the first table below a heading. */
function keysInTable(heading: string): string[] {
  const section = DOCUMENT.split(`\n## ${heading}\n`)[1]?.trim().split('\n\n')[0] ?? '';
  return section
    .split('\n')
    .slice(2)
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ''));
}
