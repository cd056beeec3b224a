import fc from 'fast-check';
import t from 'tap';
import {
  generatePrivateKey,
  Keyring,
  openSealed,
  openSmall,
  openStrided,
  publicKeyOf,
  readSealedHeader,
  readStridedRange,
  recipientId,
  SealedError,
  Sealer,
  stridedSizeBytes,
} from '../../src/sealed/index.ts';
import {
  CHUNK_BYTES,
  inPieces,
  makeWorld,
  openBytes,
  openManifest,
  randomContent,
  StridedFile,
  textContent,
} from './samples.ts';

const BOUNDARIES = [0, 1, 2, 3].flatMap((chunks) => {
  const at = chunks * CHUNK_BYTES;
  return [at - 17, at - 16, at - 1, at, at + 1, at + 16, at + 17].filter((size) => size >= 0);
});

t.test('every size around a chunk comes back, from memory and from a stream', async (t) => {
  const { sealer, keyring } = makeWorld();
  for (const size of BOUNDARIES) {
    const content = randomContent(size);
    const sealed = sealer.sealSmall(content);
    t.equal(sealed.length, sealer.packedSizeBytes(size), `${size} bytes take what was foretold`);
    t.ok(openSmall(sealed, { keyring, mostBytes: size }).equals(content), `${size} bytes from memory`);
    const { given, error } = await openBytes(sealed, keyring);
    t.equal(error, undefined);
    t.ok(given.equals(content), `${size} bytes from a stream`);
  }
});

t.test('any content in any pieces comes back from a sealed stream', async (t) => {
  const { sealer, keyring } = makeWorld();
  const sizes = fc.oneof(fc.constantFrom(...BOUNDARIES), fc.nat(4 * CHUNK_BYTES));
  const pieceSizes = fc.oneof(
    fc.constantFrom(1009, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1),
    fc.integer({ min: 700, max: 200_000 }),
  );
  await fc.assert(
    fc.asyncProperty(sizes, pieceSizes, pieceSizes, async (size, writePiece, readPiece) => {
      const content = randomContent(size);
      const stream = sealer.sealStream();
      const sealed: Buffer[] = [];
      for await (const piece of inPieces(content, writePiece)) sealed.push(...stream.push(piece));
      sealed.push(...stream.finish());
      const bytes = Buffer.concat(sealed);
      const { given, error } = await openBytes(bytes, keyring, readPiece);
      return error === undefined && given.equals(content) && bytes.length === sealer.packedSizeBytes(size);
    }),
    { numRuns: 80 },
  );
  t.pass('for 80 contents');
});

t.test('a manifest of any size comes back, and takes what a content does', async (t) => {
  const { sealer, keyring } = makeWorld();
  for (const size of BOUNDARIES) {
    const manifest = randomContent(size);
    const stream = sealer.sealManifest();
    const sealed = Buffer.concat([...stream.push(manifest), ...stream.finish()]);
    t.equal(sealed.length, sealer.packedSizeBytes(size));
    const { given, error } = await openManifest(sealed, keyring, 30_000);
    t.equal(error, undefined, `${size} bytes`);
    t.ok(given.equals(manifest));
  }
});

t.test('a small file costs less than 200 bytes more', async (t) => {
  const { sealer } = makeWorld();
  t.equal(sealer.sealSmall(randomContent(100)).length - 100, 137);
  const three = [1, 2, 3].map(() => publicKeyOf(generatePrivateKey()));
  t.equal(new Sealer(three).sealSmall(randomContent(100)).length - 100, 249, '56 for each more recipient');
});

t.test('what becomes smaller is compressed, if that saves a block', async (t) => {
  const { sealer, keyring } = makeWorld();
  for (const size of [3959, 3960, 5000, CHUNK_BYTES + 1, 1_000_000]) {
    const content = textContent(size);
    const sealed = sealer.sealSmall(content);
    const { isCompressed } = readSealedHeader(sealed);
    t.equal(isCompressed, size + 137 > 4096, `${size} bytes`);
    t.ok(sealed.length < sealer.packedSizeBytes(size) || !isCompressed);
    t.ok(openSmall(sealed, { keyring, mostBytes: size }).equals(content));
    t.ok((await openBytes(sealed, keyring)).given.equals(content));
    const asIs = sealer.sealSmall(content, { compression: 'none' });
    t.equal(readSealedHeader(asIs).isCompressed, false);
  }
  t.equal(
    readSealedHeader(sealer.sealSmall(randomContent(100_000))).isCompressed,
    false,
    'random bytes stay',
  );
});

t.test('a compressed stream comes back', async (t) => {
  const { sealer, keyring } = makeWorld();
  for (const content of [Buffer.alloc(0), textContent(3_000_000), randomContent(300_000)]) {
    const sealed = Buffer.concat(await Array.fromAsync(sealer.sealCompressed(inPieces(content, 100_000))));
    t.ok((await openBytes(sealed, keyring)).given.equals(content));
    if (content.length > 1_000_000) t.ok(sealed.length < 100_000);
  }
});

t.test('content that is longer than the manifest says is refused, before it fills the memory', async (t) => {
  const { sealer, keyring } = makeWorld();
  const bomb = sealer.sealSmall(Buffer.alloc(64 * 1024 * 1024));
  t.ok(bomb.length < 10_000);
  t.throws(() => openSmall(bomb, { keyring, mostBytes: 1000 }), { code: 'DAMAGED' });
  t.throws(() => openSmall(sealer.sealSmall(randomContent(1001)), { keyring, mostBytes: 1000 }), {
    code: 'DAMAGED',
  });
});

t.test('equal contents do not look equal, sealed in one run or for one recipient in two', async (t) => {
  const publicKey = publicKeyOf(generatePrivateKey());
  const [sealer, other] = [new Sealer([publicKey]), new Sealer([publicKey])];
  const bytesAtOnce = 8;
  for (const content of [Buffer.alloc(64), randomContent(3 * CHUNK_BYTES), textContent(20_000)]) {
    const strided = (by: Sealer) => {
      const file = by.strided(content.length);
      return file.sealChunk({ index: 0, isLast: true }, content.subarray(0, CHUNK_BYTES));
    };
    // without what tells the recipient, and the tags' and kinds' places
    const packed = (by: Sealer) => by.sealSmall(content).subarray(121);
    const pairs = [
      [packed(sealer), packed(sealer)],
      [packed(sealer), packed(other)],
      [strided(sealer), strided(sealer)],
      [strided(sealer), strided(other)],
    ] as const;
    for (const [one, two] of pairs) {
      const pieces = new Set<string>();
      for (let at = 3; at + bytesAtOnce <= one.length; at += 1)
        pieces.add(one.toString('latin1', at, at + bytesAtOnce));
      let isShared = false;
      for (let at = 3; at + bytesAtOnce <= two.length; at += bytesAtOnce)
        isShared ||= pieces.has(two.toString('latin1', at, at + bytesAtOnce));
      t.notOk(isShared, `nothing of ${content.length} bytes is there twice`);
    }
  }
});

t.test('each recipient opens it, and nobody else', async (t) => {
  const keys = [1, 2, 3].map(() => generatePrivateKey());
  const sealed = new Sealer(keys.map(publicKeyOf)).sealSmall(Buffer.from('for three'));
  for (const key of keys)
    t.equal(openSmall(sealed, { keyring: new Keyring([key]), mostBytes: 9 }).toString(), 'for three');
  const stranger = generatePrivateKey();
  t.throws(() => openSmall(sealed, { keyring: new Keyring([stranger]), mostBytes: 9 }), {
    code: 'KEY_MISSING',
  });
  t.throws(() => openSmall(sealed, { keyring: new Keyring([]), mostBytes: 9 }), { code: 'KEY_MISSING' });
  const one = keys.slice(1, 2);
  t.equal(
    openSmall(sealed, { keyring: new Keyring([stranger, ...one]), mostBytes: 9 }).toString(),
    'for three',
  );
  const names = keys.map((key) => recipientId(publicKeyOf(key)).toString('hex')).sort();
  t.strictSame(readSealedHeader(sealed).recipients, [names]);
});

t.test('a run is not sealed to nobody, to too many, or twice to one', async (t) => {
  const key = publicKeyOf(generatePrivateKey());
  t.throws(() => new Sealer([]));
  t.throws(() => new Sealer([key, key]));
  t.throws(() => new Sealer(Array.from({ length: 33 }, () => publicKeyOf(generatePrivateKey()))));
});

t.test('a strided file comes back, as a stream and in parts', async (t) => {
  const { sealer, keyring } = makeWorld();
  for (const size of BOUNDARIES.filter((each) => each > 0)) {
    const content = randomContent(size);
    const strided = sealer.strided(size);
    const file = new StridedFile().writeAll(strided, content);
    t.equal(file.bytes.length, stridedSizeBytes(strided, size), `${size} bytes take what was foretold`);
    t.ok((await openBytes(file.bytes, keyring)).given.equals(content), `${size} bytes`);
    const opener = await openStrided(file.readAt, keyring);
    for (const [fromBytes, toBytes] of [
      [0, size],
      [size - 1, size],
      [CHUNK_BYTES - 3, CHUNK_BYTES + 3],
      [5, 5],
      [1, 2 ** 40],
    ] as const) {
      const parts = readStridedRange({ opener, readAt: file.readAt }, { fromBytes, toBytes });
      const expected = content.subarray(fromBytes, toBytes);
      t.ok(
        Buffer.concat(await Array.fromAsync(parts)).equals(expected),
        `${size}: ${fromBytes} to ${toBytes}`,
      );
    }
  }
});

t.test('holes cost a record each and come back as holes', async (t) => {
  const { sealer, keyring } = makeWorld();
  const data = randomContent(CHUNK_BYTES);
  const tail = randomContent(10);
  const size = 6 * CHUNK_BYTES + 10;
  const strided = sealer.strided(size);
  const file = new StridedFile();
  file.write(strided.offset(0), strided.sealHole({ index: 0, isLast: false }, 2 * CHUNK_BYTES));
  file.write(strided.offset(2), strided.sealChunk({ index: 2, isLast: false }, data));
  file.write(strided.offset(3), strided.sealHole({ index: 3, isLast: false }, 3 * CHUNK_BYTES));
  file.write(strided.offset(6), strided.sealChunk({ index: 6, isLast: true }, tail));
  file.write(0, strided.header(size));
  const zeros = Buffer.alloc(2 * CHUNK_BYTES);
  const content = Buffer.concat([zeros, data, Buffer.alloc(3 * CHUNK_BYTES), tail]);
  const whole = Buffer.concat(await Array.fromAsync(openSealed(inPieces(file.bytes, 30_000), keyring)));
  t.ok(whole.equals(content));
  const opener = await openStrided(file.readAt, keyring);
  const world = { opener, readAt: file.readAt };
  const extents = [
    { offsetBytes: 2 * CHUNK_BYTES, lengthBytes: CHUNK_BYTES },
    { offsetBytes: 6 * CHUNK_BYTES, lengthBytes: 10 },
  ];
  const range = { fromBytes: CHUNK_BYTES + 5, toBytes: size };
  const parts = await Array.fromAsync(readStridedRange(world, { ...range, extents }));
  t.ok(Buffer.concat(parts).equals(content.subarray(CHUNK_BYTES + 5)));
  await t.rejects(
    Array.fromAsync(readStridedRange(world, range)),
    { code: 'DAMAGED' },
    'inside a hole nothing vouches',
  );
});

t.test('a file may end in a hole, or be one', async (t) => {
  const { sealer, keyring } = makeWorld();
  for (const [dataChunks, size] of [
    [0, 123],
    [1, CHUNK_BYTES + 1],
    [1, 5 * CHUNK_BYTES],
  ] as const) {
    const strided = sealer.strided(size);
    const file = new StridedFile();
    const data = randomContent(dataChunks * CHUNK_BYTES);
    if (dataChunks > 0) file.write(strided.offset(0), strided.sealChunk({ index: 0, isLast: false }, data));
    file.write(
      strided.offset(dataChunks),
      strided.sealHole({ index: dataChunks, isLast: true }, size - data.length),
    );
    file.write(0, strided.header(size));
    const content = Buffer.concat([data, Buffer.alloc(size - data.length)]);
    t.ok((await openBytes(file.bytes, keyring)).given.equals(content), `${size} bytes`);
    t.equal(file.bytes.length, strided.offset(dataChunks) + 43);
  }
});

t.test('a source that is stopped early is released', async (t) => {
  const { sealer, keyring } = makeWorld();
  let isReleased = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      yield* inPieces(sealer.sealSmall(randomContent(4 * CHUNK_BYTES)), 10_000);
    } finally {
      isReleased = true;
    }
  }
  for await (const piece of openSealed(source(), keyring)) if (piece.length > 0) break;
  t.equal(isReleased, true);
});

t.test('errors of a source come through as they are', async (t) => {
  const { sealer, keyring } = makeWorld();
  async function* source(): AsyncGenerator<Buffer> {
    yield sealer.sealSmall(textContent(400_000)).subarray(0, 150);
    throw new Error('the line broke');
  }
  await t.rejects(Array.fromAsync(openSealed(source(), keyring)), { message: 'the line broke' });
});

t.test('what is not sealed is told from what is damaged', async (t) => {
  const { keyring } = makeWorld();
  for (const [text, code] of [
    ['', 'TRUNCATED'],
    ['BKS', 'TRUNCATED'],
    ['hello, this is a text that nobody sealed', 'NOT_SEALED'],
    ['BKSL\x02\x01\x00\x10', 'VERSION'],
    ['BKSL\x01\x04\x00\x10', 'MALFORMED'],
    ['BKSL\x01\x03\x01\x10', 'MALFORMED'],
    ['BKSL\x01\x02\x01\x10', 'MALFORMED'],
    ['BKSL\x01\x01\x02\x10', 'MALFORMED'],
    ['BKSL\x01\x01\x00\x20', 'MALFORMED'],
    ['BKSL\x01\x01\x00\x10', 'TRUNCATED'],
  ] as const) {
    const { error } = await openBytes(Buffer.from(text, 'latin1'), keyring);
    t.ok(error instanceof SealedError);
    t.match(error, { code }, JSON.stringify(text));
  }
});
