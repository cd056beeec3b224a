import t from 'tap';
import type { Entry, ManifestHeader } from '../src/entry.ts';
import { NameHider, ROOT_DIRECTORY_ID } from '../src/sealed/hidden-names.ts';
import { fileEntry, HEADER, otherEntry, readAll, textOf, writeManifest } from './samples.ts';

const SEALED: ManifestHeader = { ...HEADER, recipients: ['0123456789abcdef', 'fedcba9876543210'] };
const NAME_KEY = Buffer.alloc(32, 7);
const HIDDEN: ManifestHeader = { ...SEALED, nameKey: NAME_KEY };
const sealedFile = (path: string, changes: Partial<Entry> = {}) =>
  fileEntry(path, { sealedBytes: 140, sha256: Buffer.alloc(32, 1), ...changes });
const directory = (path: string, id: number) =>
  otherEntry(path, 'directory', { nameId: Buffer.alloc(16, id) });

t.test('what is sealed, and where it lies, comes back', async (t) => {
  const entries = [
    sealedFile('a'),
    sealedFile('b', { sealedBytes: 0, stored: { kind: 'elsewhere', at: Buffer.from('x') } }),
    otherEntry('c', 'symlink', { target: Buffer.from('a'), stored: { kind: 'manifest' } }),
    fileEntry('d', { unreadable: 'EIO', stored: { kind: 'manifest' } }),
  ];
  const bytes = await writeManifest(entries, SEALED);
  const read = await readAll(bytes);
  t.same(read.header, SEALED);
  t.same(read.entries, entries);
  t.match(textOf(bytes), /"sha256":"(01){32}","sealed":140\}/);
});

t.test('hidden names are told by the ids of the folders above, and not written', async (t) => {
  const entries = [
    directory('a', 1),
    directory('a/b', 2),
    sealedFile('a/b/c'),
    sealedFile('a/d'),
    sealedFile('e'),
  ];
  const bytes = await writeManifest(entries, HIDDEN);
  const read = await readAll(bytes);
  t.same(read.header.nameKey, NAME_KEY);
  const hider = new NameHider(NAME_KEY);
  const a = hider.hide(ROOT_DIRECTORY_ID, Buffer.from('a'));
  const one = Buffer.alloc(16, 1);
  const b = hider.hide(one, Buffer.from('b'));
  t.same(
    read.entries.map(({ stored }) => (stored.kind === 'own' ? stored.at?.toString() : undefined)),
    [
      a,
      `${a}/${b}`,
      `${a}/${b}/${hider.hide(Buffer.alloc(16, 2), Buffer.from('c'))}`,
      `${a}/${hider.hide(one, Buffer.from('d'))}`,
      hider.hide(ROOT_DIRECTORY_ID, Buffer.from('e')),
    ],
  );
  t.notMatch(textOf(bytes), new RegExp(a));
  t.ok((await writeManifest(read.entries, HIDDEN)).equals(bytes), 'written again it is the same');
});

const REFUSED: readonly { why: string; header: ManifestHeader; entries: readonly Entry[] }[] = [
  { why: 'a clear file in a sealed run', header: SEALED, entries: [fileEntry('a')] },
  { why: 'a sealed file in a clear run', header: HEADER, entries: [sealedFile('a')] },
  {
    why: 'a target that lies open',
    header: SEALED,
    entries: [otherEntry('a', 'symlink', { target: Buffer.from('b') })],
  },
  {
    why: 'a sealed size of nothing',
    header: SEALED,
    entries: [sealedFile('a', { stored: { kind: 'manifest' } })],
  },
  { why: 'a folder without an id', header: HIDDEN, entries: [otherEntry('a', 'directory')] },
  { why: 'an id where nothing is hidden', header: SEALED, entries: [directory('a', 1)] },
  { why: "the root's id", header: HIDDEN, entries: [directory('a', 0)] },
  {
    why: 'a short id',
    header: HIDDEN,
    entries: [otherEntry('a', 'directory', { nameId: Buffer.alloc(15, 1) })],
  },
  { why: 'an id of a file', header: HIDDEN, entries: [sealedFile('a', { nameId: Buffer.alloc(16, 1) })] },
];

for (const { why, header, entries } of REFUSED)
  t.test(`refused by the writer: ${why}`, async (t) => {
    await t.rejects(writeManifest(entries, header), { code: 'MALFORMED' });
  });

t.test('refused by the reader: an entry whose folder has no line', async (t) => {
  await t.rejects(readAll(await writeManifest([sealedFile('a/b')], HIDDEN)), { code: 'MALFORMED' });
});

for (const [why, changes] of Object.entries({
  'no recipient': { recipients: [] },
  'recipients out of order': { recipients: ['fedcba9876543210', '0123456789abcdef'] },
  'a recipient twice': { recipients: ['0123456789abcdef', '0123456789abcdef'] },
  'a recipient that is none': { recipients: ['0123456789ABCDEF'] },
  'a short name key': { nameKey: Buffer.alloc(31) },
} satisfies Record<string, Partial<ManifestHeader>>))
  t.test(`refused in a header: ${why}`, async (t) => {
    await t.rejects(writeManifest([], { ...SEALED, ...changes }), { code: 'MALFORMED' });
  });

t.test('refused in a header: hidden names of a run that is not sealed', async (t) => {
  await t.rejects(writeManifest([], { ...HEADER, nameKey: NAME_KEY }), { code: 'MALFORMED' });
});
