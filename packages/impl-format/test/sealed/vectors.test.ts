import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  asPrivateKey,
  Keyring,
  parsePaperKey,
  parsePrivateKey,
  publicKeyOf,
  readSealedHeader,
  recipientId,
} from '../../src/sealed/index.ts';
import type { PrivateKey } from '../../src/sealed/index.ts';
import { openBytes, openManifest } from './samples.ts';
import { readVectors, sealedFile } from './vectors.ts';

const VECTORS = readVectors();

t.test('what was sealed once opens for ever', async (t) => {
  const keyring = new Keyring([keyOf(VECTORS.privateKey)]);
  t.equal(VECTORS.files.length, 6);
  for (const { name, sizeBytes, sha256 } of VECTORS.files) {
    const { given, error } = await openBytes(readFileSync(sealedFile(name)), keyring);
    t.equal(error, undefined, name);
    t.equal(given.length, sizeBytes);
    t.equal(createHash('sha256').update(given).digest('hex'), sha256);
  }
  const { name, sizeBytes, sha256 } = VECTORS.manifest;
  const { given, error } = await openManifest(readFileSync(sealedFile(name)), keyring);
  t.equal(error, undefined, name);
  t.equal(given.length, sizeBytes);
  t.equal(createHash('sha256').update(given).digest('hex'), sha256);
});

t.test('the vectors show what they are for', async (t) => {
  const headerOf = (name: string) => readSealedHeader(readFileSync(sealedFile(name)));
  const [one, other] = [VECTORS.privateKey, VECTORS.otherPrivateKey].map((hex) =>
    recipientId(publicKeyOf(keyOf(hex))).toString('hex'),
  );
  const both = [one, other].sort();
  t.match(headerOf('text'), { kind: 'packed', isCompressed: false, recipients: [[one]] });
  t.match(headerOf('compressed'), { kind: 'packed', isCompressed: true });
  t.match(headerOf('two-recipients'), { recipients: [both] });
  t.match(headerOf('manifest'), { kind: 'manifest', isCompressed: false, recipients: [[one]] });
  t.match(headerOf('strided-two-runs'), { kind: 'strided', recipients: [[one], both] });
  const opened = await openBytes(
    readFileSync(sealedFile('text')),
    new Keyring([keyOf(VECTORS.otherPrivateKey)]),
  );
  t.match(opened.error, { code: 'KEY_MISSING' });
});

t.test('keys that were written once are read for ever', async (t) => {
  const key = keyOf(VECTORS.privateKey);
  t.equal(publicKeyOf(key).toString('hex'), VECTORS.publicKey);
  t.ok(parsePaperKey(VECTORS.paperKey).equals(key));
  t.ok((await parsePrivateKey(VECTORS.keyFile, async () => undefined)).equals(key));
  t.ok((await parsePrivateKey(VECTORS.protectedKeyFile, async () => VECTORS.passphrase)).equals(key));
});

function keyOf(hex: string): PrivateKey {
  const key = asPrivateKey(Buffer.from(hex, 'hex'));
  if (key === undefined) throw new Error('a vector holds no key');
  return key;
}
