/**
 * Makes packages/impl-format/test/sealed/vectors/: sealed files, and vectors.json with the keys that open them and what is
 * in them. `node scripts/write-sealed-vectors.ts`. Everything sealed is random, so each run makes others; they are kept,
 * since they are what was written once and must open for ever.
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import {
  formatPaperKey,
  formatPrivateKey,
  generatePrivateKey,
  protectKey,
  publicKeyOf,
  readStridedHeader,
  Sealer,
} from '@bakker/impl-format/sealed';

const FOLDER = new URL('../packages/impl-format/test/sealed/vectors/', import.meta.url);
const CHUNK_BYTES = 65_536;

const [key, otherKey] = [generatePrivateKey(), generatePrivateKey()];
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

await mkdir(FOLDER, { recursive: true });
for (const { name, sealed } of vectors) await writeFile(new URL(`${name}.sealed`, FOLDER), sealed);
const described = {
  privateKey: key.toString('hex'),
  publicKey: publicKeyOf(key).toString('hex'),
  otherPrivateKey: otherKey.toString('hex'),
  keyFile: formatPrivateKey(key),
  paperKey: formatPaperKey(key),
  passphrase: 'correct horse battery staple',
  protectedKeyFile: await protectKey(key, 'correct horse battery staple'),
  files: vectors.map(({ name, content }) => ({
    name,
    sizeBytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  })),
};
await writeFile(new URL('vectors.json', FOLDER), `${JSON.stringify(described, undefined, 2)}\n`);

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
