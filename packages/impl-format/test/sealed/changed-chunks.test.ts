import t from 'tap';
import {
  generatePrivateKey,
  Keyring,
  publicKeyOf,
  readStridedHeader,
  Sealer,
} from '../../src/sealed/index.ts';
import { CHUNK_BYTES, makeWorld, openBytes, randomContent, refusalFault, StridedFile } from './samples.ts';

const RANDOM_AT = 3;

t.test('a later run replaces a chunk, appends and cuts, without any key of the earlier one', async (t) => {
  const privateKey = generatePrivateKey();
  const recipients = [publicKeyOf(privateKey)];
  const keyring = new Keyring([privateKey]);
  const before = randomContent(4 * CHUNK_BYTES + 100);
  const file = new StridedFile().writeAll(new Sealer(recipients).strided(before.length), before);

  const longer = Buffer.concat([before, randomContent(CHUNK_BYTES)]);
  longer.fill('new', CHUNK_BYTES, CHUNK_BYTES + 50);
  const second = new Sealer(recipients).continueStrided(readStridedHeader(file.bytes));
  for (const index of [1, 4, 5]) file.writeChunk(second, longer, index);
  file.write(0, second.header(longer.length));
  t.ok((await openBytes(file.bytes, keyring)).given.equals(longer), 'replaced and appended');

  const shorter = longer.subarray(0, 2 * CHUNK_BYTES + 7);
  const third = new Sealer(recipients).continueStrided(readStridedHeader(file.bytes));
  file.writeChunk(third, shorter, 2);
  file.bytes = file.bytes.subarray(0, third.offset(2) + 7 + 35);
  file.write(0, third.header(shorter.length));
  t.ok((await openBytes(file.bytes, keyring)).given.equals(shorter), 'cut');
  t.equal(readStridedHeader(file.bytes).envelopes.length, 3);
});

t.test('a file that a crash left between two runs is refused until its header is written', async (t) => {
  const { sealer, keyring } = makeWorld();
  const content = randomContent(2 * CHUNK_BYTES);
  const strided = sealer.strided(content.length);
  const half = new StridedFile();
  half.writeChunk(strided, content, 1);
  t.match((await openBytes(half.bytes, keyring)).error, { code: 'NOT_SEALED' });

  const file = new StridedFile().writeAll(strided, content);
  const next = sealer.continueStrided(readStridedHeader(file.bytes));
  file.writeChunk(next, Buffer.concat([randomContent(CHUNK_BYTES), content.subarray(CHUNK_BYTES)]), 0);
  t.equal(
    refusalFault(await openBytes(file.bytes, keyring), content),
    undefined,
    'a chunk of a key that is not in the header',
  );
});

t.test('who joined later reads what was sealed since, and is told why the rest stays closed', async (t) => {
  const [first, joined] = [generatePrivateKey(), generatePrivateKey()];
  const content = randomContent(2 * CHUNK_BYTES);
  const file = new StridedFile().writeAll(new Sealer([publicKeyOf(first)]).strided(content.length), content);
  const both = [publicKeyOf(first), publicKeyOf(joined)];
  const next = new Sealer(both).continueStrided(readStridedHeader(file.bytes));
  file.writeChunk(next, content, 0);
  file.write(0, next.header(content.length));
  const opened = await openBytes(file.bytes, new Keyring([joined]));
  t.equal(opened.given.length, CHUNK_BYTES);
  t.match(opened.error, { code: 'KEY_MISSING' });
  t.ok((await openBytes(file.bytes, new Keyring([first]))).given.equals(content));
});

t.test('one chunk as it was in an earlier run opens: only the hash of the whole content tells', async (t) => {
  const privateKey = generatePrivateKey();
  const recipients = [publicKeyOf(privateKey)];
  const old = randomContent(2 * CHUNK_BYTES);
  const file = new StridedFile().writeAll(new Sealer(recipients).strided(old.length), old);
  const oldRecord = Buffer.from(file.bytes.subarray(16_384, 16_384 + CHUNK_BYTES + 35));
  const next = new Sealer(recipients).continueStrided(readStridedHeader(file.bytes));
  file.writeChunk(next, randomContent(2 * CHUNK_BYTES), 0);
  file.write(0, next.header(old.length));
  file.write(next.offset(0), oldRecord);
  const { given, error } = await openBytes(file.bytes, new Keyring([privateKey]));
  t.equal(error, undefined, 'docs/security.md says so, and why the manifest finds it');
  t.ok(given.equals(old));
});

t.test('a header that is full says so', async (t) => {
  const recipients = Array.from({ length: 32 }, () => publicKeyOf(generatePrivateKey()));
  const run = new Sealer(recipients);
  const file = new StridedFile().writeAll(run.strided(1), Buffer.of(1));
  for (let runs = 1; runs < 8; runs++) {
    file.write(0, run.continueStrided(readStridedHeader(file.bytes)).header(1));
  }
  t.throws(() => run.continueStrided(readStridedHeader(file.bytes)), { code: 'TABLE_FULL' });
});

t.test(
  'nothing fresh comes twice: not in files, not in a chunk that is sealed again and again',
  async (t) => {
    const { sealer } = makeWorld();
    const salts = new Set<string>();
    for (let count = 0; count < 20_000; count++)
      salts.add(sealer.sealSmall(Buffer.of(1)).toString('latin1', 8, 32));
    t.equal(salts.size, 20_000);
    const strided = sealer.strided(1);
    const records = new Set<string>();
    for (let count = 0; count < 20_000; count++) {
      records.add(
        strided
          .sealChunk({ index: 0, isLast: true }, Buffer.of(1))
          .toString('latin1', RANDOM_AT, RANDOM_AT + 16),
      );
    }
    t.equal(records.size, 20_000);
    const [one, same] = [sealer.sealSmall(Buffer.from('same')), sealer.sealSmall(Buffer.from('same'))];
    t.notOk(one.subarray(-20).equals(same.subarray(-20)), 'equal contents do not look equal');
  },
);

t.test('a record can be made in room that is used again', async (t) => {
  const { sealer, keyring } = makeWorld();
  const content = randomContent(2 * CHUNK_BYTES + 9);
  const strided = sealer.strided(content.length);
  const into = Buffer.alloc(CHUNK_BYTES + 35);
  const file = new StridedFile();
  for (const index of [2, 0, 1]) {
    const data = content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    const record = strided.sealChunk({ index, isLast: index === 2, into }, data);
    t.equal(record.buffer, into.buffer);
    file.write(strided.offset(index), record);
  }
  file.write(0, strided.header(content.length));
  t.ok((await openBytes(file.bytes, keyring)).given.equals(content));
  t.throws(() =>
    strided.sealChunk({ index: 0, isLast: false, into: into.subarray(1) }, content.subarray(0, CHUNK_BYTES)),
  );
});

t.test('misuse by a program is refused', async (t) => {
  const { sealer } = makeWorld();
  const strided = sealer.strided(1);
  t.throws(() => strided.sealChunk({ index: 0, isLast: false }, Buffer.alloc(5)));
  t.throws(() => strided.sealChunk({ index: 0, isLast: true }, Buffer.alloc(0)));
  t.throws(() => strided.sealChunk({ index: 0, isLast: true }, Buffer.alloc(CHUNK_BYTES + 1)));
  t.throws(() => strided.sealHole({ index: 0, isLast: false }, 5));
  t.throws(() => strided.sealHole({ index: 0, isLast: true }, 0));
  t.throws(() => strided.header(0));
  const stream = sealer.sealStream();
  stream.finish();
  t.throws(() => stream.push(Buffer.of(1)));
  t.throws(() => stream.finish());
});
