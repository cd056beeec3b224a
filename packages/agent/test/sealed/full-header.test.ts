import { Readable } from 'node:stream';
import t from 'tap';
import { Keyring, generatePrivateKey, openSealed, publicKeyOf } from '@bakker/impl-format/sealed';
import type { PrivateKey } from '@bakker/impl-format/sealed';
import type { PatchSink } from '../../src/ports/storage-account.ts';
import { openSealingThreads } from '../../src/adapters/sealing/sealing-threads.ts';
import { sealRun } from '../../src/sealed/seal-run.ts';

const CHUNK_BYTES = 64 * 1024;
const key = generatePrivateKey();
const others = Array.from({ length: 31 }, generatePrivateKey);
const recipients = [...others, key].map(publicKeyOf);

/** A stored file that is changed in place. */
class MemoryFile implements PatchSink {
  readonly isShared = false;
  bytes = Buffer.alloc(0);

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    const grown = Buffer.alloc(Math.max(this.bytes.length, offsetBytes + bytes.length));
    this.bytes.copy(grown);
    bytes.copy(grown, offsetBytes);
    this.bytes = grown;
  }

  async keep(): Promise<void> {
    // it is there
  }

  async zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    this.bytes.fill(0, offsetBytes, offsetBytes + lengthBytes);
  }

  async restart(): Promise<void> {
    this.bytes = Buffer.alloc(0);
  }

  async finish(): Promise<void> {
    // nothing to do
  }

  async discard(): Promise<void> {
    // nothing to do
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // nothing to do
  }
}

const unhashed = { threads: openSealingThreads(), isHashed: false };

async function opened(sealed: Buffer, key: PrivateKey): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(openSealed(Readable.from([sealed]), new Keyring([key]))));
}

t.test('each run adds its key until the header is full; then the file is to be sealed whole', async (t) => {
  const content = Buffer.alloc(4 * CHUNK_BYTES, 'first');
  const file = new MemoryFile();
  const sealing = sealRun(recipients, { ...unhashed, stridedFromBytes: CHUNK_BYTES });
  using whole = sealing.file(file, { sizeBytes: content.length, isHashed: false });
  await whole.write(0, Buffer.from(content));
  let { header } = await whole.end();
  let runs = 0;
  for (; ; runs++) {
    const patch = sealRun(recipients, unhashed).patch(header);
    if (patch === undefined) break;
    const at = (runs % 4) * CHUNK_BYTES;
    content.fill(`run ${runs} `, at, at + CHUNK_BYTES);
    patch.begin(content.length);
    patch.into(file);
    await patch.write(at, content.subarray(at, at + CHUNK_BYTES));
    ({ header } = await patch.end());
    t.ok((await opened(file.bytes, key)).equals(content), `run ${runs}`);
  }
  t.ok(runs > 3 && runs < 100, `${runs} runs had room`);
});
