import { createHash, randomBytes } from 'node:crypto';
import { openSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { ContentThread } from '../../src/adapters/content/content-thread.ts';
import { StoredHash } from '../../src/adapters/content/stored-hash.ts';

const BLOCK_BYTES = 512;

interface Stretch {
  readonly startBytes: number;
  readonly endBytes: number;
}

/** Hashes a file that is unlike the older one in `stretches`, and only there. */
async function checkHash(t: Test, sizeBytes: number, stretches: readonly Stretch[]): Promise<void> {
  const folder = t.testdir();
  const older = randomBytes(sizeBytes);
  const newer = Buffer.from(older);
  for (const { startBytes, endBytes } of stretches) newer.fill('new', startBytes, endBytes);
  writeFileSync(`${folder}/older`, older);
  writeFileSync(`${folder}/newer`, newer);
  await using thread = new ContentThread();
  const stored = new StoredHash({
    thread,
    fd: openSync(`${folder}/newer`, 'r'),
    signal: new AbortController().signal,
    older: { fd: openSync(`${folder}/older`, 'r'), sizeBytes },
  });
  for (const { startBytes, endBytes } of stretches) {
    stored.changing(startBytes, endBytes);
    if (startBytes % (7 * BLOCK_BYTES) === 0) stored.follow(startBytes);
  }
  const digest = (await stored.digest(sizeBytes)).toString('hex');
  t.equal(digest, createHash('sha256').update(newer).digest('hex'));
  // what would come out if the older file were read where the newer one was written
  t.not(digest, createHash('sha256').update(older).digest('hex'));
}

t.test('what was written is read of the new file, all else of the older one', async (t) => {
  await checkHash(t, 100 * BLOCK_BYTES, [
    { startBytes: 0, endBytes: 10 },
    { startBytes: 10, endBytes: 20 },
    { startBytes: 5000, endBytes: 9000 },
    { startBytes: 6000, endBytes: 7000 },
    { startBytes: 8999, endBytes: 9100 },
    { startBytes: 40_000, endBytes: 100 * BLOCK_BYTES },
  ]);
});

t.test('more stretches than are kept', async (t) => {
  const stretches = Array.from({ length: 3000 }, (_none, index) => ({
    startBytes: (2 * index + 1) * BLOCK_BYTES,
    endBytes: (2 * index + 2) * BLOCK_BYTES,
  }));
  await checkHash(t, 6001 * BLOCK_BYTES, stretches);
});

t.test('what was not written is not read of the new file', async (t) => {
  const folder = t.testdir();
  writeFileSync(`${folder}/older`, 'a'.repeat(9000));
  writeFileSync(`${folder}/newer`, 'b'.repeat(9000));
  await using thread = new ContentThread();
  const stored = new StoredHash({
    thread,
    fd: openSync(`${folder}/newer`, 'r'),
    signal: new AbortController().signal,
    older: { fd: openSync(`${folder}/older`, 'r'), sizeBytes: 8000 },
  });
  stored.changing(1000, 1001);
  const expected = `${'a'.repeat(1000)}b${'a'.repeat(6999)}${'b'.repeat(1000)}`;
  t.equal((await stored.digest(9000)).toString('hex'), createHash('sha256').update(expected).digest('hex'));
});
