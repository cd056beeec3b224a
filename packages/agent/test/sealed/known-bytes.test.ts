import { createHash, randomBytes } from 'node:crypto';
import t from 'tap';
import { knownBytes, OtherBytes } from '../../src/sealed/known-bytes.ts';

const MIB = 1024 * 1024;

/** Reads that show one content after another, in pieces of odd sizes. */
function shows(...contents: readonly Buffer[]): { read: () => AsyncGenerator<Buffer>; count: () => number } {
  let count = 0;
  return {
    count: () => count,
    async *read() {
      const content = contents[Math.min(count++, contents.length - 1)] ?? Buffer.alloc(0);
      const pieceBytes = 10_000 + count * 777;
      for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes);
    },
  };
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

async function all(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const held: Buffer[] = [];
  for await (const piece of pieces) held.push(piece);
  return Buffer.concat(held);
}

t.test('what is known comes out whole, of every size around a block', async (t) => {
  for (const sizeBytes of [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5]) {
    const content = randomBytes(sizeBytes);
    const { read, count } = shows(content);
    t.ok((await all(knownBytes(read, sha256(content)))).equals(content));
    t.equal(count(), sizeBytes < MIB ? 1 : 2, 'read twice only where it is not held');
  }
});

t.test('of anything else not a byte comes out', async (t) => {
  const content = randomBytes(3 * MIB);
  for (const sizeBytes of [10, 3 * MIB - 1, 3 * MIB]) {
    const other = Buffer.from(content.subarray(0, sizeBytes));
    other[sizeBytes - 1] = (other[sizeBytes - 1] ?? 0) ^ 1;
    await t.rejects(knownBytes(shows(other).read, sha256(content)).next(), OtherBytes);
  }
});

t.test('what is shown otherwise the second time does not come out', async (t) => {
  const content = randomBytes(3 * MIB);
  const forged = Buffer.concat([randomBytes(10), content.subarray(10)]);
  await t.rejects(knownBytes(shows(content, forged).read, sha256(content)).next(), OtherBytes);
  for (const second of [
    Buffer.concat([content.subarray(0, 2 * MIB), randomBytes(MIB)]),
    content.subarray(0, 2 * MIB),
    content.subarray(0, -1),
    Buffer.concat([content, randomBytes(1)]),
  ]) {
    const given: Buffer[] = [];
    const reading = async (): Promise<void> => {
      for await (const piece of knownBytes(shows(content, second).read, sha256(content))) given.push(piece);
    };
    await t.rejects(reading(), OtherBytes);
    const bytes = Buffer.concat(given);
    t.ok(content.subarray(0, bytes.length).equals(bytes), 'but what is true up to there');
  }
});
