/**
 * Makes what is missing in packages/impl-format/test/sealed/vectors/: sealed files, and vectors.json with the keys that open
 * them and what is in them. `node scripts/write-sealed-vectors.ts`. Everything sealed is random and would be another each
 * time; what is there is kept, since it is what was written once and must open for ever.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { encodeManifest } from '@bakker/impl-format';
import type { Entry, ManifestHeader } from '@bakker/impl-format';
import {
  asPrivateKey,
  formatKeyId,
  formatPaperKey,
  formatPrivateKey,
  generatePrivateKey,
  protectKey,
  publicKeyOf,
  readStridedHeader,
  Sealer,
} from '@bakker/impl-format/sealed';
import type { PrivateKey } from '@bakker/impl-format/sealed';

const FOLDER = new URL('../packages/impl-format/test/sealed/vectors/', import.meta.url);
const CHUNK_BYTES = 65_536;

const DESCRIBED = new URL('vectors.json', FOLDER);
const PASSPHRASE = 'correct horse battery staple';

interface FileDescription {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const known: Partial<{
  privateKey: string;
  otherPrivateKey: string;
  protectedKeyFile: string;
  files: readonly FileDescription[];
  manifest: FileDescription;
}> = existsSync(DESCRIBED) ? JSON.parse(readFileSync(DESCRIBED, 'utf8')) : {};
const [key, otherKey] = [keyOf(known.privateKey), keyOf(known.otherPrivateKey)];
const run = new Sealer([publicKeyOf(key)]);
const forTwo = new Sealer([publicKeyOf(key), publicKeyOf(otherKey)]);
const text = Buffer.from('what one file and one key must give back\n');

const twoChunks = Buffer.alloc(CHUNK_BYTES + 1, 'two chunks ');
const twoStream = run.sealStream();
const vectors = [
  { name: 'empty', content: Buffer.alloc(0), sealed: run.sealSmall(Buffer.alloc(0)) },
  { name: 'text', content: text, sealed: run.sealSmall(text) },
  { name: 'two-recipients', content: text, sealed: forTwo.sealSmall(text) },
  {
    name: 'compressed',
    content: Buffer.alloc(10_000, 'again and '),
    sealed: run.sealSmall(Buffer.alloc(10_000, 'again and ')),
  },
  {
    name: 'two-chunks',
    content: twoChunks,
    sealed: Buffer.concat([...twoStream.push(twoChunks), ...twoStream.finish()]),
  },
  { name: 'strided-two-runs', ...stridedOfTwoRuns() },
];
const manifest = await manifestOfOneFile();

await mkdir(FOLDER, { recursive: true });
for (const { name, sealed } of [...vectors, manifest]) {
  if (describedAs(name) === undefined) await writeFile(new URL(`${name}.sealed`, FOLDER), sealed);
}
const described = {
  privateKey: key.toString('hex'),
  publicKey: publicKeyOf(key).toString('hex'),
  otherPrivateKey: otherKey.toString('hex'),
  keyFile: formatPrivateKey(key),
  paperKey: formatPaperKey(key),
  passphrase: PASSPHRASE,
  protectedKeyFile: known.protectedKeyFile ?? (await protectKey(key, PASSPHRASE)),
  files: vectors.map(describe),
  manifest: describe(manifest),
};
await writeFile(DESCRIBED, `${JSON.stringify(described, undefined, 2)}\n`);

/** A hole of one run, and a last chunk that a second run replaced. */
function stridedOfTwoRuns(): { content: Buffer; sealed: Buffer } {
  const content = Buffer.concat([Buffer.alloc(2 * CHUNK_BYTES), text]);
  const first = run.strided(content.length);
  const sealed = Buffer.alloc(first.offset(2) + text.length + 35);
  first.sealHole({ index: 0, isLast: false }, 2 * CHUNK_BYTES).copy(sealed, first.offset(0));
  first.header(content.length).copy(sealed);
  const second = forTwo.continueStrided(readStridedHeader(sealed));
  second.sealChunk({ index: 2, isLast: true }, text).copy(sealed, second.offset(2));
  second.header(content.length).copy(sealed);
  return { content, sealed };
}

/** A run that holds `text.sealed` as `/text`. */
async function manifestOfOneFile(): Promise<{ name: string; content: Buffer; sealed: Buffer }> {
  const header: ManifestHeader = {
    run: '2024_04_19_01',
    parent: null,
    parentDigest: null,
    host: 'web1',
    agent: '0.1.0',
    startedAtMs: Date.UTC(2024, 3, 19, 1),
    sources: [Buffer.from('/')],
    filesystems: [{ mountPoint: Buffer.from('/'), type: 'ext4' }],
    recipients: [formatKeyId(publicKeyOf(key))],
  };
  const entry: Entry = {
    path: Buffer.from('text'),
    type: 'file',
    sizeBytes: text.length,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 1_713_488_400_123_456_789n,
    ctimeNs: 1_713_488_400_123_456_789n,
    inode: 12n,
    filesystem: 0,
    linkCount: 1,
    sha256: createHash('sha256').update(text).digest(),
    sealedBytes: run.packedSizeBytes(text.length),
    stored: { kind: 'own' },
  };
  async function* batches(): AsyncGenerator<readonly Entry[]> {
    yield [entry];
  }
  const finish = { finishedAtMs: Date.UTC(2024, 3, 19, 1, 1), addedBytes: run.packedSizeBytes(text.length) };
  const content = Buffer.concat(await Array.fromAsync(encodeManifest(header, batches(), () => finish)));
  const stream = run.sealManifest();
  return { name: 'manifest', content, sealed: Buffer.concat([...stream.push(content), ...stream.finish()]) };
}

function describe({ name, content }: { name: string; content: Buffer }): FileDescription {
  const sha256 = createHash('sha256').update(content).digest('hex');
  return describedAs(name) ?? { name, sizeBytes: content.length, sha256 };
}

function describedAs(name: string): FileDescription | undefined {
  return [...(known.files ?? []), known.manifest].find((each) => each?.name === name);
}

function keyOf(hex: string | undefined): PrivateKey {
  if (hex === undefined) return generatePrivateKey();
  const known = asPrivateKey(Buffer.from(hex, 'hex'));
  if (known === undefined) throw new Error('vectors.json holds no key');
  return known;
}
