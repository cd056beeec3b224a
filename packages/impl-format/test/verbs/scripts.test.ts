import fc from 'fast-check';
import t from 'tap';
import { zstdCompressSync } from 'node:zlib';
import {
  comparePaths,
  decodeManifestDelta,
  decodeTreeOutcome,
  decodeTreeScript,
  encodeTreeOutcome,
  ManifestDeltaEncoder,
  MAX_MANIFEST_RESTARTS,
  TreeScriptEncoder,
  type ManifestDeltaOperation,
  type TreeOperation,
} from '../../src/index.ts';

const PLAIN = { noNullPrototype: true } as const;
const component = fc
  .oneof(
    fc.constantFrom('a', 'b', 'ab', 'a b', 'etc', 'x'.repeat(255)).map((name) => Buffer.from(name)),
    fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  )
  .filter(
    (name) =>
      !name.includes(0) && !name.includes(0x2f) && name.toString() !== '.' && name.toString() !== '..',
  );
const path = fc
  .array(component, { minLength: 1, maxLength: 5 })
  .map((parts) => Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part]))));
const folder = fc.constantFrom('', '2024_04_18_01', 'ab'.repeat(16));
const operation: fc.Arbitrary<TreeOperation> = fc.oneof(
  path.map((path) => ({ kind: 'keep-until' as const, path })),
  path.map((path) => ({ kind: 'skip' as const, path })),
  fc.record({ kind: fc.constant('link' as const), path, folder, from: path }, PLAIN),
  path.map((path) => ({ kind: 'directory' as const, path })),
  fc.record({ kind: fc.constant('symlink' as const), path, target: path }, PLAIN),
  fc.constant({ kind: 'keep-rest' as const }),
);

t.test('a tree script says after the way over the wire what it said before, one after the other', (t) => {
  const encoder = new TreeScriptEncoder();
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (drawn) => {
      const operations = withRisingCursor(drawn);
      for (const [number, operation] of operations.entries()) t.equal(write(encoder, operation), number);
      t.equal(encoder.opCount, operations.length);
      const script = decodeTreeScript(encoder.take());
      t.equal(script.operationCount, operations.length);
      t.strictSame([...script], operations);
      t.strictSame([...script], operations, 'it can be read again');
      t.equal(encoder.opCount, 0);
      t.equal(encoder.sizeBytes, 0);
    }),
    { numRuns: 200 },
  );
  t.end();
});

t.test('any bytes are either a script or refused', (t) => {
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    // Mostly like scripts: small numbers, so that lengths often fit.
    fc
      .array(fc.integer({ min: 0, max: 7 }), { maxLength: 80 })
      .map((numbers) => Uint8Array.from([0, ...numbers])),
  );
  fc.assert(
    fc.property(bodies, (bytes) => {
      for (const decode of [decodeTreeScript, decodeManifestDelta, decodeTreeOutcome]) {
        try {
          const decoded = decode(Buffer.from(bytes));
          for (const _ of decoded);
        } catch (error) {
          if (!(error instanceof Error && error.name === 'FormatProblem')) throw error;
        }
      }
    }),
    { numRuns: 3000 },
  );
  t.end();
});

t.test('hostile scripts are refused', (t) => {
  const field = (shared: number, text: string) => {
    const bytes = Buffer.from(text, 'latin1');
    return Buffer.concat([
      Buffer.of(shared >> 8, shared & 255, bytes.length >> 8, bytes.length & 255),
      bytes,
    ]);
  };
  const refused = (code: string, ...parts: (number | Buffer)[]) => {
    const script = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : part)));
    t.throws(
      () => decodeTreeScript(Buffer.concat([Buffer.of(0), script])),
      { code },
      script.toString('latin1').slice(0, 40),
    );
  };
  for (const path of ['/etc', '..', 'a/../b', 'a//b', './a', 'a/', '', 'a\0b', 'a/.', 'x'.repeat(256)]) {
    refused('HOSTILE', 5, field(0, path));
    refused('HOSTILE', 4, field(0, 'ok'), field(0, ''), field(0, path));
  }
  // Put together from what was shared: the part that is new is harmless by itself.
  refused('HOSTILE', 5, field(0, 'a/.x'), 5, field(3, '.'));
  refused('HOSTILE', 5, field(0, 'a/b'), 5, field(2, '/c'));
  refused('HOSTILE', 5, field(0, 'a/b'), 5, field(2, ''));
  refused('HOSTILE', 5, field(0, 'x'.repeat(200)), 5, field(200, 'x'.repeat(100)));
  refused('MALFORMED', 5, field(1, 'a'));
  refused('MALFORMED', 5, field(0, 'a'), 5, field(2, 'a'));
  refused('MALFORMED', 5, field(0, 'a/'.repeat(2040) + 'a'), 5, field(4081, '/aaaaaaaaaaaaaaaaaaaaa'));
  refused('MALFORMED', 5, field(0, 'a').subarray(0, 4));
  refused('MALFORMED', 7);
  refused('MALFORMED', 0);
  refused('MALFORMED', 6, field(0, 'a'), field(0, ''));
  refused('MALFORMED', 6, field(0, 'a'), field(0, 'a\0'));
  refused('MALFORMED', 6, field(0, 'a'), field(0, 'x'.repeat(4096)));
  refused('HOSTILE', 4, field(0, 'a'), field(0, '..'), field(0, 'a'));
  refused('HOSTILE', 4, field(0, 'a'), field(0, '2024_04_18_01/..'), field(0, 'a'));
  refused('MALFORMED', 4, field(0, 'a'), field(0, 'a'.repeat(65)), field(0, 'a'));
  refused('MALFORMED', 1, field(0, 'b'), 1, field(0, 'a'));
  refused('MALFORMED', 3, field(0, 'a b'), 3, field(0, 'a/b'));
  t.throws(() => decodeTreeScript(Buffer.alloc(0)), { code: 'MALFORMED' });
  t.throws(() => decodeTreeScript(Buffer.of(2, 2)), { code: 'MALFORMED' });
  t.throws(() => decodeTreeScript(Buffer.of(1, 1, 2, 3)), { code: 'MALFORMED' });
  t.end();
});

t.test('a script has at most 1 MiB, however it is packed, and a huge one takes no memory', (t) => {
  const most = Buffer.alloc(1024 * 1024, 2);
  t.equal(decodeTreeScript(Buffer.concat([Buffer.of(0), most])).operationCount, most.length);
  t.equal(
    decodeTreeScript(Buffer.concat([Buffer.of(1), zstdCompressSync(most)])).operationCount,
    most.length,
  );
  t.throws(() => decodeTreeScript(Buffer.concat([Buffer.of(0), most, Buffer.of(2)])), { code: 'MALFORMED' });
  const bomb = zstdCompressSync(Buffer.alloc(256 * 1024 * 1024, 2));
  for (const decode of [decodeTreeScript, decodeManifestDelta]) {
    t.throws(() => decode(Buffer.concat([Buffer.of(1), bomb])), { code: 'MALFORMED' });
  }
  // Five bytes an operation, 4,000 bytes of path each: 800 MB if all were held.
  const long = Buffer.from(`${'a/'.repeat(2000)}a`);
  const first = Buffer.concat([Buffer.of(5, 0, 0, long.length >> 8, long.length & 255), long]);
  const again = Buffer.of(5, long.length >> 8, long.length & 255, 0, 0);
  const script = Buffer.concat([Buffer.of(0), first, ...Array.from({ length: 200_000 }, () => again)]);
  const before = process.memoryUsage();
  t.equal(decodeTreeScript(script).operationCount, 200_001);
  const after = process.memoryUsage();
  t.ok(after.rss - before.rss < 300e6, `${after.rss - before.rss} bytes more`);
  const encoder = new TreeScriptEncoder();
  t.throws(() => {
    for (;;) encoder.symlink(Buffer.from('a'), Buffer.from(String(Math.random()).padEnd(4000)));
  }, RangeError);
  t.end();
});

t.test('a script of many like paths is short, and an unchanged tree takes a few bytes', (t) => {
  const encoder = new TreeScriptEncoder();
  encoder.keepRest();
  t.equal(encoder.take().length, 2);
  for (let i = 0; i < 5000; i++) {
    encoder.link(
      Buffer.from(`srv/new/folder-${i >> 5}/file-${i}.txt`),
      '',
      Buffer.from(`srv/old/folder-${i >> 5}/file-${i}.txt`),
    );
  }
  const body = encoder.take();
  t.equal(body[0], 1);
  t.ok(body.length < 5000 * 12, `${body.length} bytes`);
  t.equal(decodeTreeScript(body).operationCount, 5000);
  t.end();
});

t.test('an outcome names its failures by rising numbers that the script has', (t) => {
  const outcome = [
    { operation: 0, reason: 'absent' as const },
    { operation: 7, reason: 'hurt' as const },
    { operation: 70_000, reason: 'refused' as const },
  ];
  t.strictSame(decodeTreeOutcome(encodeTreeOutcome(outcome)), outcome);
  t.strictSame(decodeTreeOutcome(encodeTreeOutcome([])), []);
  t.throws(() => decodeTreeOutcome(encodeTreeOutcome(outcome), 70_000), { code: 'MALFORMED' });
  t.throws(() => decodeTreeOutcome(encodeTreeOutcome([...outcome].reverse())), { code: 'MALFORMED' });
  t.throws(() => decodeTreeOutcome(Buffer.of(0, 0, 0, 1, 0, 0, 0, 0, 4)), { code: 'MALFORMED' });
  t.throws(() => decodeTreeOutcome(Buffer.of(0xff, 0xff, 0xff, 0xff)), { code: 'MALFORMED' });
  t.end();
});

const delta: fc.Arbitrary<ManifestDeltaOperation> = fc.oneof(
  fc
    .uint8Array({ minLength: 1, maxLength: 40 })
    .map((bytes) => ({ kind: 'lines' as const, bytes: Buffer.from(bytes) })),
  fc.record(
    { kind: fc.constantFrom('keep' as const, 'drop' as const), count: fc.integer({ min: 1, max: 1e6 }) },
    PLAIN,
  ),
  fc.record({ kind: fc.constant('moved' as const), path, from: path }, PLAIN),
);

t.test("a manifest's delta comes through, neighbouring keeps and drops as one", (t) => {
  fc.assert(
    fc.property(fc.array(delta, { maxLength: 40 }), (operations) => {
      const encoder = new ManifestDeltaEncoder();
      for (const operation of operations) {
        if (operation.kind === 'lines') encoder.lines(operation.bytes);
        else if (operation.kind === 'keep') encoder.keep(operation.count);
        else if (operation.kind === 'drop') encoder.drop(operation.count);
        else if (operation.kind === 'moved') t.ok(encoder.moved(operation.path, operation.from));
      }
      t.strictSame([...decodeManifestDelta(encoder.take())], merged(operations));
    }),
    { numRuns: 200 },
  );
  const encoder = new ManifestDeltaEncoder();
  for (let line = 0; line < 100_000; line++) encoder.keep(1);
  t.equal(encoder.take().length, 6);
  t.throws(() => encoder.keep(-1), RangeError);
  t.end();
});

t.test('an encoder does not ask for more ways back than the storage goes', (t) => {
  const encoder = new ManifestDeltaEncoder();
  const from = Buffer.from('same');
  for (let i = 0; i <= MAX_MANIFEST_RESTARTS; i++) {
    t.ok(encoder.moved(Buffer.from('a'), from));
    encoder.take();
  }
  t.notOk(encoder.moved(Buffer.from('a'), from), 'over several pieces');
  t.ok(encoder.moved(Buffer.from('a'), Buffer.from('same0')));
  t.end();
});

function write(encoder: TreeScriptEncoder, operation: TreeOperation): number {
  switch (operation.kind) {
    case 'keep-until':
      return encoder.keepUntil(operation.path);
    case 'keep-rest':
      return encoder.keepRest();
    case 'skip':
      return encoder.skip(operation.path);
    case 'link':
      return encoder.link(operation.path, operation.folder, operation.from);
    case 'directory':
      return encoder.directory(operation.path);
    case 'symlink':
      return encoder.symlink(operation.path, operation.target);
  }
}

function withRisingCursor(operations: readonly TreeOperation[]): TreeOperation[] {
  const paths = operations
    .flatMap((operation) => (isCursor(operation) ? [operation.path] : []))
    .sort((a, b) => comparePaths(a, b));
  return operations.map((operation) =>
    isCursor(operation) ? { ...operation, path: paths.shift()! } : operation,
  );
}

function isCursor(operation: TreeOperation): operation is TreeOperation & { kind: 'keep-until' | 'skip' } {
  return operation.kind === 'keep-until' || operation.kind === 'skip';
}

function merged(operations: readonly ManifestDeltaOperation[]): ManifestDeltaOperation[] {
  const result: ManifestDeltaOperation[] = [];
  for (const operation of operations) {
    const last = result.at(-1);
    if ((operation.kind === 'keep' || operation.kind === 'drop') && last?.kind === operation.kind) {
      result[result.length - 1] = { kind: operation.kind, count: last.count + operation.count };
    } else result.push(operation);
  }
  return result;
}
