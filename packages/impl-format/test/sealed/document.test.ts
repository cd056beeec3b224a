import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  asPrivateKey,
  formatPublicKey,
  Keyring,
  openSmall,
  parsePaperKey,
  publicKeyOf,
  recipientId,
} from '../../src/sealed/index.ts';
import { sealedFile } from './vectors.ts';

const DOCUMENT = readFileSync(new URL('../../../../docs/sealed-format.md', import.meta.url), 'utf8');
const EXAMPLE = /## Worked example\n.*?```text\n(.*?)```/s.exec(DOCUMENT)?.[1] ?? '';

t.test('the example in the document opens', async (t) => {
  const privateKey = asPrivateKey(hexAfter('private key'));
  if (privateKey === undefined) throw new Error('the example has a private key');
  const publicKey = publicKeyOf(privateKey);
  t.ok(publicKey.equals(hexAfter('public key')));
  t.equal(formatPublicKey(publicKey), textAfter('in one line'));
  const paper = EXAMPLE.slice(EXAMPLE.indexOf('on paper') + 8).split('\n\n')[0] ?? '';
  t.ok(parsePaperKey(paper).equals(privateKey));
  t.ok(recipientId(publicKey).equals(hexAfter('65 id')));
  const sealed = Buffer.concat(
    [
      '0 prefix',
      '8 salt',
      '32 ephemeral key',
      '64 recipients',
      '65 id',
      '73 box',
      '121 ciphertext',
      '162 tag',
    ].map(hexAfter),
  );
  t.ok(sealed.equals(readFileSync(sealedFile('text'))), 'it is a test vector');
  const content = openSmall(sealed, { keyring: new Keyring([privateKey]), mostBytes: 41 });
  t.equal(JSON.stringify(content.toString()), textAfter('content'));
});

t.test('the keys in the document are made as it says', async (t) => {
  const nonce = createHash('sha256')
    .update('bakker run key 1\0')
    .update(hexAfter('32 ephemeral key'))
    .update(hexAfter('public key'))
    .digest()
    .subarray(0, 24);
  t.ok(nonce.equals(hexAfter('nonce of the box')));
  const info = Buffer.concat([Buffer.from('bakker packed 1\0'), hexAfter('8 salt'), Buffer.of(1)]);
  const fileKey = createHmac('sha256', hexAfter('run key')).update(info).digest();
  t.ok(fileKey.equals(hexAfter('file key')));
});

t.test('the document names every label that a key is derived by', async (t) => {
  const source = readFileSync(new URL('../../src/sealed/derive-key.ts', import.meta.url), 'utf8');
  const labels = [...source.matchAll(/'(bakker [a-z]+ 1)\\0'/g)].map((match) => match[1] ?? '');
  t.equal(labels.length, 5);
  for (const label of labels) t.ok(DOCUMENT.includes(`\`"${label}\\0"\``), label);
});

t.test('the document names every code that a reader gives', async (t) => {
  const source = readFileSync(new URL('../../src/sealed/sealed-error.ts', import.meta.url), 'utf8');
  const declared = /SealedErrorCode =([^;]*);/.exec(source)?.[1]?.match(/[A-Z_]{4,}/g) ?? [];
  const section = DOCUMENT.split('\n## What a reader must refuse\n')[1]?.split('\n## ')[0] ?? '';
  const written = [...section.matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
  t.strictSame(written.sort(), [...declared].sort());
  t.equal(declared.length, 7);
});

/** What stands after a label, with the lines that go on below it. */
function textAfter(label: string): string {
  const match = new RegExp(`^ *${label} +(.*(?:\\n {19}\\S.*)*)`, 'm').exec(EXAMPLE);
  return match?.[1] ?? '';
}

function hexAfter(label: string): Buffer {
  return Buffer.from(textAfter(label).replace(/\s+/g, ''), 'hex');
}
