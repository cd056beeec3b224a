import t from 'tap';
import {
  generatePrivateKey,
  Keyring,
  openSmall,
  openStrided,
  publicKeyOf,
  readStridedHeader,
  SealedError,
  Sealer,
} from '../../src/sealed/index.ts';
import { sealHoleRecord } from '../../src/sealed/strided-chunk.ts';
import { stridedFileKey } from '../../src/sealed/strided-header.ts';
import {
  asContents,
  CHUNK_BYTES,
  makeWorld,
  openBytes,
  openManifest,
  randomContent,
  RECORD_OVERHEAD_BYTES,
  refusalFault,
  StridedFile,
  TAG_BYTES,
  textContent,
  withFlippedBit,
} from './samples.ts';

const KIND_AT = 5;
const ENVELOPE_AT = 32;
const PACKED_HEADER_BYTES = 121;
const STRIDED_HEADER_BYTES = 16 * 1024;

t.test('every flipped bit of a small file is refused', async (t) => {
  const { sealer, keyring } = makeWorld();
  for (const [index, content] of [randomContent(40), textContent(5000), Buffer.alloc(0)].entries()) {
    const sealed = sealer.sealSmall(content);
    const faults: string[] = [];
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      // The envelope is made alike whatever the content, and takes nearly all of the time.
      if (index > 0 && bit >= ENVELOPE_AT * 8 && bit < PACKED_HEADER_BYTES * 8) continue;
      await withFlippedBit(sealed, bit, async () => {
        const fault = refusalFault(await openBytes(sealed, keyring), content);
        if (fault !== undefined) faults.push(`bit ${bit}: ${fault}`);
        if (!refusesWhole(sealed, keyring)) faults.push(`bit ${bit} in memory`);
      });
    }
    t.strictSame(faults, [], `${sealed.length} bytes`);
    t.ok((await openBytes(sealed, keyring)).given.equals(content), 'and what was not altered opens');
  }
});

t.test(
  'a content in the place of a manifest is refused, and the reverse, whatever its header says',
  async (t) => {
    const { sealer, keyring } = makeWorld();
    const planted = randomContent(2000);
    const stream = sealer.sealManifest();
    const manifest = Buffer.concat([...stream.push(planted), ...stream.finish()]);
    const asKind = (sealed: Buffer, kind: number): Buffer =>
      Buffer.concat([sealed.subarray(0, KIND_AT), Buffer.of(kind), sealed.subarray(KIND_AT + 1)]);
    for (const [how, sealed] of Object.entries(asContents(sealer, planted))) {
      t.ok((await openBytes(sealed, keyring)).given.equals(planted), `${how}: a sound content`);
      t.match(
        await openManifest(sealed, keyring),
        { given: Buffer.alloc(0), error: { code: 'MALFORMED', message: /is the content of a file/ } },
        how,
      );
      const renamed = await openManifest(asKind(sealed, 3), keyring);
      t.ok(renamed.error instanceof SealedError, `${how}, called a manifest`);
      t.equal(renamed.given.length, 0);
    }
    t.match(await openBytes(manifest, keyring), {
      given: Buffer.alloc(0),
      error: { code: 'MALFORMED', message: /is a manifest/ },
    });
    t.throws(() => openSmall(manifest, { keyring, mostBytes: 2000 }), { code: 'MALFORMED' });
    await t.rejects(
      openStrided(async (from, length) => manifest.subarray(from, from + length), keyring),
      {
        code: 'MALFORMED',
      },
    );
    for (const kind of [1, 2]) {
      const opened = await openBytes(asKind(manifest, kind), keyring);
      t.equal(refusalFault(opened, Buffer.alloc(0)), undefined);
    }
  },
);

t.test('every flipped bit of a manifest is refused', async (t) => {
  const { sealer, keyring } = makeWorld();
  const stream = sealer.sealManifest();
  const content = randomContent(40);
  const sealed = Buffer.concat([...stream.push(content), ...stream.finish()]);
  const faults: string[] = [];
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    await withFlippedBit(sealed, bit, async () => {
      const fault = refusalFault(await openManifest(sealed, keyring), content);
      if (fault !== undefined) faults.push(`bit ${bit}: ${fault}`);
    });
  }
  t.strictSame(faults, []);
  t.ok((await openManifest(sealed, keyring)).given.equals(content));
});

t.test('a file that ends early is refused at every byte, and so is one that goes on', async (t) => {
  const { sealer, keyring } = makeWorld();
  const content = randomContent(60);
  const sealed = sealer.sealSmall(content);
  for (let length = 0; length < sealed.length; length++) {
    const cut = sealed.subarray(0, length);
    t.equal(refusalFault(await openBytes(cut, keyring), content), undefined, `${length} bytes`);
    t.ok(refusesWhole(cut, keyring));
  }
  for (const more of [Buffer.of(0), Buffer.alloc(TAG_BYTES), sealed]) {
    const longer = Buffer.concat([sealed, more]);
    t.equal(refusalFault(await openBytes(longer, keyring), content), undefined);
    t.ok(refusesWhole(longer, keyring));
  }
});

t.test('a large file that is cut at the end of a chunk is refused after what is true', async (t) => {
  const { sealer, keyring } = makeWorld();
  const content = randomContent(3 * CHUNK_BYTES + 5);
  const sealed = sealer.sealSmall(content);
  for (const chunks of [0, 1, 2, 3]) {
    const cut = sealed.subarray(0, PACKED_HEADER_BYTES + chunks * (CHUNK_BYTES + TAG_BYTES));
    const opened = await openBytes(cut, keyring);
    t.equal(refusalFault(opened, content), undefined, `after ${chunks} chunks`);
    t.equal(opened.given.length, Math.max(0, chunks - 1) * CHUNK_BYTES);
  }
});

t.test(
  'chunks of a packed file that are swapped, doubled, dropped or of another file are refused',
  async (t) => {
    const privateKey = generatePrivateKey();
    const keyring = new Keyring([privateKey]);
    const recipients = [publicKeyOf(privateKey)];
    const [run, otherRun] = [new Sealer(recipients), new Sealer(recipients)];
    const content = randomContent(3 * CHUNK_BYTES);
    const mine = splitPacked(run.sealSmall(content));
    const sameRun = splitPacked(run.sealSmall(randomContent(3 * CHUNK_BYTES)));
    const nextRun = splitPacked(otherRun.sealSmall(content));
    const [head, a, b, c] = mine;
    const altered: Record<string, readonly Buffer[]> = {
      swapped: [head, b, a, c],
      doubled: [head, a, a, b, c],
      'doubled at the end': [head, a, b, c, c],
      dropped: [head, a, c],
      'without its first': [head, b, c],
      'a chunk of another file of the run': [head, a, sameRun[2], c],
      'the last chunk of another file of the run': [head, a, b, sameRun[3]],
      'a chunk of the same content in another run': [head, a, nextRun[2], c],
      'the header of another file of the run': [sameRun[0], a, b, c],
      'the header of another run': [nextRun[0], a, b, c],
      'the salt of another file': [splice(head, sameRun[0], 8, 32), a, b, c],
      'the envelope of another run': [splice(head, nextRun[0], 32, PACKED_HEADER_BYTES), a, b, c],
    };
    for (const [how, parts] of Object.entries(altered)) {
      const sealed = Buffer.concat(parts);
      t.equal(refusalFault(await openBytes(sealed, keyring), content), undefined, how);
      t.ok(refusesWhole(sealed, keyring), `${how}, in memory`);
    }
  },
);

t.test('a recipient that was added, dropped or changed in a header is refused', async (t) => {
  const keys = [generatePrivateKey(), generatePrivateKey()];
  const content = randomContent(100);
  const sealed = new Sealer(keys.map(publicKeyOf)).sealSmall(content);
  const entryBytes = 56;
  const entries = 32 + 33;
  const dropped = (which: number): Buffer => {
    const bytes = Buffer.from(sealed);
    bytes[entries - 1] = 1;
    const at = entries + which * entryBytes;
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + entryBytes)]);
  };
  for (const key of keys) {
    for (const which of [0, 1]) {
      const opened = await openBytes(dropped(which), new Keyring([key]));
      t.equal(refusalFault(opened, content), undefined);
      t.equal(opened.given.length, 0);
    }
  }
});

t.test('every flipped bit of a strided header is refused, its empty room too', async (t) => {
  const { file, keyring } = stridedWorld(CHUNK_BYTES + 20);
  const faults: number[] = [];
  // In the empty room each byte is as good as the next: one bit of it, another in each.
  const room = { from: 256 * 8, to: (STRIDED_HEADER_BYTES - 32) * 8 };
  for (let bit = 0; bit < STRIDED_HEADER_BYTES * 8; bit += bit >= room.from && bit < room.to ? 9 : 1) {
    await withFlippedBit(file.bytes, bit, async () => {
      await openStrided(file.readAt, keyring).then(
        () => faults.push(bit),
        () => undefined,
      );
    });
  }
  t.strictSame(faults, []);
});

t.test('every flipped bit of a record is refused', async (t) => {
  const { file, content, keyring, sealer } = stridedWorld(CHUNK_BYTES + 20);
  const second = sealer.offset(1);
  const bits = [
    ...range(sealer.offset(0) * 8, (sealer.offset(0) + 64) * 8),
    ...range((second - 24) * 8, file.bytes.length * 8),
    ...range(sealer.offset(0) * 8 + 4001, (second - 24) * 8).filter((bit) => bit % 4001 === 0),
  ];
  const faults: string[] = [];
  for (const bit of bits) {
    await withFlippedBit(file.bytes, bit, async () => {
      const fault = refusalFault(await openBytes(file.bytes, keyring), content);
      if (fault !== undefined) faults.push(`bit ${bit}: ${fault}`);
    });
  }
  t.strictSame(faults, []);
  for (let length = second; length < file.bytes.length; length++) {
    const opened = await openBytes(file.bytes.subarray(0, length), keyring);
    if (refusalFault(opened, content) !== undefined) t.fail(`cut to ${length}`);
  }
  const longer = Buffer.concat([file.bytes, Buffer.of(0)]);
  t.match((await openBytes(longer, keyring)).error, { code: 'DAMAGED' });
});

t.test('records of a strided file that are swapped, doubled or of another file are refused', async (t) => {
  const { file, content, keyring, sealer, run } = stridedWorld(3 * CHUNK_BYTES);
  const other = new StridedFile().writeAll(run.strided(content.length), content);
  const recordBytes = CHUNK_BYTES + RECORD_OVERHEAD_BYTES;
  const record = (from: Buffer, index: number): Buffer =>
    Buffer.from(from.subarray(sealer.offset(index), sealer.offset(index) + recordBytes));
  for (const [from, index, place] of [
    [file.bytes, 1, 0],
    [file.bytes, 0, 1],
    [file.bytes, 2, 1],
    [file.bytes, 1, 2],
    [other.bytes, 1, 1],
    [other.bytes, 2, 2],
  ] as const) {
    const altered = new StridedFile();
    altered.write(0, Buffer.from(file.bytes));
    altered.write(sealer.offset(place), record(from, index));
    const opened = await openBytes(altered.bytes, keyring);
    t.equal(refusalFault(opened, content), undefined, `chunk ${index} in place of ${place}`);
    t.equal(opened.given.length, place * CHUNK_BYTES);
  }
  const foreign = Buffer.concat([
    other.bytes.subarray(0, STRIDED_HEADER_BYTES),
    file.bytes.subarray(STRIDED_HEADER_BYTES),
  ]);
  t.equal(refusalFault(await openBytes(foreign, keyring), content), undefined, 'the header of another file');
});

t.test('a hole that is made up, moved, made longer or filled is refused', async (t) => {
  const { sealer: run, keyring } = makeWorld();
  const size = 5 * CHUNK_BYTES;
  const strided = run.strided(size);
  const data = randomContent(CHUNK_BYTES);
  const file = new StridedFile();
  file.write(strided.offset(0), strided.sealChunk({ index: 0, isLast: false }, data));
  file.write(strided.offset(1), strided.sealHole({ index: 1, isLast: false }, 2 * CHUNK_BYTES));
  file.write(strided.offset(3), strided.sealHole({ index: 3, isLast: false }, CHUNK_BYTES));
  file.write(strided.offset(4), strided.sealChunk({ index: 4, isLast: true }, data));
  file.write(0, strided.header(size));
  const content = Buffer.concat([data, Buffer.alloc(3 * CHUNK_BYTES), data]);
  t.ok((await openBytes(file.bytes, keyring)).given.equals(content));
  const alter = async (how: string, change: (bytes: Buffer) => void): Promise<void> => {
    const bytes = Buffer.from(file.bytes);
    change(bytes);
    t.equal(refusalFault(await openBytes(bytes, keyring), content), undefined, how);
  };
  const at = (index: number): number => strided.offset(index);
  await alter('a chunk wiped', (bytes) => bytes.fill(0, at(0), at(1)));
  await alter('a hole in place of data', (bytes) => bytes.copy(bytes, at(0), at(1), at(1) + 43));
  await alter('a hole moved', (bytes) => bytes.copy(bytes, at(3), at(1), at(1) + 43));
  await alter('something in a hole', (bytes) => bytes.writeUInt8(1, at(2)));
  for (const chunks of [0, 1, 3, 4, 5, 2 ** 20]) {
    await alter(`a hole of ${chunks} chunks`, (bytes) =>
      bytes.writeBigUInt64BE(BigInt(chunks * CHUNK_BYTES), at(1) + 19),
    );
  }
  await alter('two holes made one', (bytes) => {
    bytes.writeBigUInt64BE(BigInt(3 * CHUNK_BYTES), at(1) + 19);
    bytes.fill(0, at(3), at(4));
  });
  const { identity, envelopes } = readStridedHeader(file.bytes);
  const key = stridedFileKey(keyring.runKey(envelopes[0] ?? Buffer.alloc(0)), identity);
  for (const lengthBytes of [0, 1, CHUNK_BYTES + 1, 4 * CHUNK_BYTES + 1, 5 * CHUNK_BYTES]) {
    const made = sealHoleRecord(lengthBytes, { identity, index: 1, isLast: false }, { key, slot: 0 });
    await alter(`a hole of ${lengthBytes} bytes, by who has the key`, (bytes) => made.copy(bytes, at(1)));
  }
  for (let bit = at(1) * 8; bit < (at(1) + 43) * 8; bit++) {
    await withFlippedBit(file.bytes, bit, async () => {
      const fault = refusalFault(await openBytes(file.bytes, keyring), content);
      if (fault !== undefined) t.fail(`bit ${bit} of a hole: ${fault}`);
    });
  }
});

t.test('a header that names another size or fewer keys is refused by itself', async (t) => {
  const { file, keyring } = stridedWorld(2 * CHUNK_BYTES);
  const header = readStridedHeader(file.bytes);
  t.equal(header.contentBytes, 2 * CHUNK_BYTES);
  for (const size of [0n, 1n, BigInt(CHUNK_BYTES), BigInt(3 * CHUNK_BYTES), 2n ** 60n]) {
    const bytes = Buffer.from(file.bytes);
    bytes.writeBigUInt64BE(size, 36);
    t.equal(refusalFault(await openBytes(bytes, keyring), Buffer.alloc(0)), undefined, `${size} bytes`);
  }
});

function stridedWorld(size: number) {
  const { sealer: run, keyring } = makeWorld();
  const content = randomContent(size);
  const sealer = run.strided(size);
  const file = new StridedFile().writeAll(sealer, content);
  return { run, sealer, file, content, keyring };
}

/** Header and three chunks. */
function splitPacked(sealed: Buffer): readonly [Buffer, Buffer, Buffer, Buffer] {
  const at = (chunk: number): number => PACKED_HEADER_BYTES + chunk * (CHUNK_BYTES + TAG_BYTES);
  const part = (from: number, to: number): Buffer => sealed.subarray(from, to);
  return [part(0, at(0)), part(at(0), at(1)), part(at(1), at(2)), part(at(2), at(3))];
}

function splice(into: Buffer, from: Buffer, start: number, end: number): Buffer {
  return Buffer.concat([into.subarray(0, start), from.subarray(start, end), into.subarray(end)]);
}

function refusesWhole(sealed: Buffer, keyring: Keyring): boolean {
  try {
    openSmall(sealed, { keyring, mostBytes: 2 ** 30 });
    return false;
  } catch {
    return true;
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
}
