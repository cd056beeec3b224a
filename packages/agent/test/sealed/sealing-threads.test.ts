import { hash, randomBytes } from 'node:crypto';
import { generatePrivateKey, Keyring, openSmall, publicKeyOf, Sealer } from '@bakker/impl-format/sealed';
import t from 'tap';
import { openSealingThreads } from '../../src/adapters/sealing/sealing-threads.ts';

const privateKey = generatePrivateKey();
const keyring = new Keyring([privateKey]);
const sealer = new Sealer([publicKeyOf(privateKey)]);
/** More than are sealed without a thread, and more than a batch takes. */
const COUNT = 500;

function contents(): Buffer[] {
  return Array.from({ length: COUNT }, (_, index) => {
    if (index % 50 === 0) return Buffer.alloc(0);
    return index % 2 === 0 ? randomBytes(index * 7) : Buffer.from(`text ${index} `.repeat(index * 2));
  });
}

/** As the source's reader gives them: several in one memory. */
function inSharedMemory(all: readonly Buffer[]): Buffer[] {
  const memories = [0, 1].map(() => new SharedArrayBuffer(all.reduce((sum, { length }) => sum + length, 0)));
  let at = 0;
  return all.map((content, index) => {
    const memory = memories[index < COUNT / 2 ? 0 : 1] ?? new SharedArrayBuffer(0);
    const copy = Buffer.from(memory, at, content.length);
    at += content.copy(copy);
    return copy;
  });
}

for (const isHashed of [true, false]) {
  t.test(`what a thread seals opens, and ${isHashed ? 'has its hash' : 'is not hashed'}`, async (t) => {
    const clear = contents();
    await using threads = openSealingThreads();
    await using sealing = threads.sealing(sealer.runKey, { isHashed });
    for (const all of [inSharedMemory(clear), clear, inSharedMemory(clear)]) {
      const sealed = await Promise.all(all.map((content) => sealing.seal(content)));
      const differing = sealed.filter(({ bytes, sha256 }, index) => {
        const wanted = clear[index] ?? Buffer.alloc(0);
        const isSame = openSmall(bytes, { keyring, mostBytes: wanted.length }).equals(wanted);
        return !isSame || sha256?.equals(hash('sha256', bytes, 'buffer')) !== (isHashed || undefined);
      });
      t.equal(differing.length, 0);
      t.equal(
        new Set(sealed.map(({ bytes }) => bytes.toString('latin1', 8, 32))).size,
        COUNT,
        'each has its salt',
      );
      for (const { bytes } of sealed) sealing.recycle(bytes);
    }
  });
}

t.test('sealing more after the thread was closed fails', async (t) => {
  await using threads = openSealingThreads();
  const sealing = threads.sealing(sealer.runKey, { isHashed: false });
  const shared = inSharedMemory(contents());
  await Promise.all(shared.map((content) => sealing.seal(content)));
  await sealing[Symbol.asyncDispose]();
  await t.rejects(Promise.all(shared.map((content) => sealing.seal(content))), { message: /closed/ });
});

t.test('a thread opens what is whole and has its size, and nothing else', async (t) => {
  await using threads = openSealingThreads();
  const opening = threads.opening(keyring);
  const clear = contents();
  const stored = clear.map((content) => ({ stored: sealer.sealSmall(content), sizeBytes: content.length }));
  t.same(await opening.open(stored), clear);
  t.same(await opening.open([]), []);

  const content = Buffer.from('one that is compressed '.repeat(1000));
  const good = { stored: sealer.sealSmall(content), sizeBytes: content.length };
  const stranger = new Sealer([publicKeyOf(generatePrivateKey())]);
  const altered = Buffer.from(good.stored);
  altered[130] = (altered[130] ?? 0) ^ 1;
  t.same(
    await opening.open([
      good,
      { ...good, sizeBytes: content.length - 1 },
      { ...good, sizeBytes: content.length + 1 },
      { ...good, stored: altered },
      { ...good, stored: good.stored.subarray(0, -1) },
      { ...good, stored: Buffer.alloc(0) },
      { ...good, stored: stranger.sealSmall(content) },
      { ...good, stored: Buffer.from('BKSL\x01\x02\x00\x10'.padEnd(500)) },
      good,
    ]),
    [content, undefined, undefined, undefined, undefined, undefined, undefined, undefined, content],
  );
});
