import fc from 'fast-check';
import { createHash, randomBytes } from 'node:crypto';
import { deepStrictEqual, equal, ok } from 'node:assert/strict';
import t from 'tap';
import type { Entry, Extent } from '@bakker/impl-format';
import { Keyring, generatePrivateKey, openSealed, publicKeyOf } from '@bakker/impl-format/sealed';
import { LargeFiles } from '../../src/blocks/large-files.ts';
import type { BlockPrints } from '../../src/blocks/block-diff.ts';
import { Transfer } from '../../src/backup/transfer.ts';
import type { BlockMemory } from '../../src/ports/state-folder.ts';
import type { OpenSourceFile, SmallFileReader, SourceTree } from '../../src/ports/source-tree.ts';
import type { FileSink, PatchSink, RunWriter } from '../../src/ports/storage-account.ts';
import { openExtents } from '../../src/sealed/open-content.ts';
import { openSealingThreads } from '../../src/adapters/sealing/sealing-threads.ts';
import { sealRun } from '../../src/sealed/seal-run.ts';

const BLOCK = 64 * 1024;
const PATH = Buffer.from('file');
const privateKey = generatePrivateKey();
const keyring = new Keyring([privateKey]);

/** A file with holes, changed as files are. */
class Content {
  bytes = Buffer.alloc(0);
  /** Moved by whatever its times show, also where no byte changed. */
  version = 0;
  /** 4 KiB pages that hold data. */
  readonly #pages = new Set<number>();

  write(offset: number, data: Buffer): void {
    this.resize(Math.max(this.bytes.length, offset + data.length));
    data.copy(this.bytes, offset);
    const last = Math.floor((offset + data.length - 1) / 4096);
    for (let page = Math.floor(offset / 4096); page <= last; page++) this.#pages.add(page);
  }

  punch(offset: number, length: number): void {
    const from = Math.ceil(offset / 4096);
    const to = Math.floor(Math.min(offset + length, this.bytes.length) / 4096);
    for (let page = from; page < to; page++) {
      this.#pages.delete(page);
      this.bytes.fill(0, page * 4096, (page + 1) * 4096);
    }
  }

  resize(size: number): void {
    const resized = Buffer.alloc(size);
    this.bytes.copy(resized);
    this.bytes = resized;
    for (const page of this.#pages) if (page * 4096 >= size) this.#pages.delete(page);
  }

  extents(): Extent[] | undefined {
    const extents: Extent[] = [];
    for (const page of [...this.#pages].sort((a, b) => a - b)) {
      const offsetBytes = page * 4096;
      const lengthBytes = Math.min(4096, this.bytes.length - offsetBytes);
      const last = extents.at(-1);
      if (last && last.offsetBytes + last.lengthBytes === offsetBytes)
        extents[extents.length - 1] = { ...last, lengthBytes: last.lengthBytes + lengthBytes };
      else extents.push({ offsetBytes, lengthBytes });
    }
    const isWhole = extents.length === 1 && extents[0]?.lengthBytes === this.bytes.length;
    return isWhole ? undefined : extents;
  }
}

type Change =
  | { readonly kind: 'write' | 'zeros' | 'punch'; readonly at: number; readonly length: number }
  | { readonly kind: 'append'; readonly length: number }
  | { readonly kind: 'resize'; readonly size: number };

/** Places and lengths on blocks' borders, beside them, and anywhere. */
const place = (most: number) =>
  fc.oneof(
    fc.integer({ min: 0, max: most }),
    fc
      .tuple(fc.integer({ min: 0, max: Math.floor(most / BLOCK) }), fc.integer({ min: -1, max: 1 }))
      .map(([block, off]) => Math.max(0, block * BLOCK + off)),
  );
const MOST = 8 * BLOCK;
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), at: place(MOST), length: place(2 * BLOCK) }),
  fc.record({ kind: fc.constant('zeros' as const), at: place(MOST), length: place(4 * BLOCK) }),
  fc.record({ kind: fc.constant('punch' as const), at: place(MOST), length: place(4 * BLOCK) }),
  fc.record({ kind: fc.constant('append' as const), length: place(2 * BLOCK) }),
  fc.record({ kind: fc.constant('resize' as const), size: place(MOST) }),
);

function apply(content: Content, changes: readonly Change[]): void {
  for (const change of changes) {
    if (change.kind === 'write' && change.length > 0) content.write(change.at, randomBytes(change.length));
    if (change.kind === 'zeros' && change.length > 0) content.write(change.at, Buffer.alloc(change.length));
    if (change.kind === 'punch') content.punch(change.at, change.length);
    if (change.kind === 'append' && change.length > 0)
      content.write(content.bytes.length, randomBytes(change.length));
    if (change.kind === 'resize') content.resize(Math.max(1, change.size));
  }
}

/** A stored file; what nobody wrote is zeros, as on a disk. */
class Stored {
  bytes = Buffer.alloc(0);
  writtenBytes = 0;

  put(offset: number, data: Buffer): void {
    if (this.bytes.length < offset + data.length)
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(offset + data.length - this.bytes.length)]);
    data.copy(this.bytes, offset);
  }
}

/** `picks`: begins empty and takes what it is told to keep; else it begins as a clone, as the shell makes one. */
function patchSink(
  stored: Stored,
  older: Buffer,
  { picks, mostBytes }: { picks: boolean; mostBytes: number },
): PatchSink {
  let endBytes = picks ? 0 : Math.min(older.length, mostBytes);
  if (!picks) stored.bytes = Buffer.from(older.subarray(0, mostBytes));
  let isFinished = false;
  return {
    isShared: true,
    async keep(offset, length) {
      ok(offset + length <= older.length, 'only what the older file has is kept');
      if (!picks) return;
      ok(offset >= endBytes, 'kept in ascending order');
      endBytes = offset + length;
      stored.put(offset, older.subarray(offset, offset + length));
    },
    async zero(offset, length) {
      const to = Math.min(endBytes, offset + length);
      if (to > offset) stored.put(offset, Buffer.alloc(to - offset));
    },
    async write(offset, data) {
      endBytes = Math.max(endBytes, offset + data.length);
      stored.writtenBytes += data.length;
      stored.put(offset, Buffer.from(data));
    },
    async restart() {
      throw new Error('a file that is made from another does not start over');
    },
    async finish(size) {
      isFinished = true;
      if (size > stored.bytes.length) stored.put(size - 1, Buffer.alloc(1));
      stored.bytes = stored.bytes.subarray(0, size);
    },
    async discard() {
      ok(!isFinished);
      stored.bytes = Buffer.alloc(0);
    },
    async [Symbol.asyncDispose]() {},
  };
}

function newSink(stored: Stored): FileSink {
  return {
    async write(offset, data) {
      stored.put(offset, Buffer.from(data));
    },
    async restart() {
      stored.bytes = Buffer.alloc(0);
    },
    async finish(size) {
      if (size > stored.bytes.length) stored.put(size - 1, Buffer.alloc(1));
      stored.bytes = stored.bytes.subarray(0, size);
    },
    async discard() {},
    async [Symbol.asyncDispose]() {},
  };
}

/** Only small files are read by it. */
const UNUSED = {} as SmallFileReader;

function sourceOf(content: Content, pieceBytes: number, whileRead: (pass: number) => void): SourceTree {
  let passes = 0;
  const open = (): OpenSourceFile => {
    const extents = content.extents();
    const frozen = Buffer.from(content.bytes);
    const { version } = content;
    const entry: Entry = { ...ENTRY, sizeBytes: frozen.length, ...(extents ? { extents } : {}) };
    return {
      entry,
      descriptor: -1,
      async *pieces() {
        for (const extent of extents ?? [{ offsetBytes: 0, lengthBytes: frozen.length }]) {
          const end = extent.offsetBytes + extent.lengthBytes;
          for (let offsetBytes = extent.offsetBytes; offsetBytes < end; offsetBytes += pieceBytes) {
            const bytes = Buffer.from(frozen.subarray(offsetBytes, Math.min(end, offsetBytes + pieceBytes)));
            yield { offsetBytes, lengthBytes: bytes.length, bytes };
          }
        }
        whileRead(++passes);
      },
      isUnchanged: () => content.version === version,
      async [Symbol.asyncDispose]() {},
    };
  };
  return { openFile: open } as unknown as SourceTree;
}

const ENTRY: Entry = {
  path: PATH,
  type: 'file',
  stored: { kind: 'own' },
  filesystem: 0,
  inode: 1n,
  linkCount: 1,
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  mtimeNs: 0n,
  ctimeNs: 0n,
} as unknown as Entry;

function memory(): BlockMemory {
  const rows = new Map<string, BlockPrints>();
  return {
    key: randomBytes(32),
    byContent: (_size, sha256) => {
      const row = rows.get(sha256.toString('hex'));
      return row && { ...row, prints: Buffer.from(row.prints) };
    },
    byInode: () => undefined,
    add: ({ sha256, blocks }) =>
      rows.set(sha256.toString('hex'), { ...blocks, prints: Buffer.from(blocks.prints) }),
    forget: (sha256) => rows.delete(sha256.toString('hex')),
    published: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
}

for (const isSealed of [false, true])
  for (const [picks, blockBytes] of [
    [true, BLOCK],
    [false, BLOCK],
    [false, 4 * BLOCK],
  ] as const)
    t.test(
      `a file that changes from run to run is stored as it was each day: ${isSealed ? 'sealed' : 'clear'}, ${picks ? 'stretches copied' : 'cloned'}, blocks of ${blockBytes / 1024} KiB`,
      async (t) => {
        let patches = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 5 }),
            fc.integer({ min: 5000, max: 3 * BLOCK }),
            // none: it is only touched
            fc.option(fc.array(change, { maxLength: 2 })),
            async (days, pieceBytes, whileRead) => {
              const content = new Content();
              content.write(0, randomBytes(3 * BLOCK + 17));
              const large = new LargeFiles(memory(), {
                mountPoints: [Buffer.from('/')],
                isRemembered: true,
                blockBytesFor: () => blockBytes,
              });
              let older: Stored | undefined;
              let before: { sizeBytes: number; sha256: Buffer } | undefined;
              for (const changes of days) {
                apply(content, changes);
                const stored = new Stored();
                const sealing = isSealed
                  ? sealRun([publicKeyOf(privateKey)], {
                      threads: openSealingThreads(),
                      ...{ isHashed: false, stridedFromBytes: 0 },
                    })
                  : undefined;
                const from: Buffer = older?.bytes ?? Buffer.alloc(0);
                const asBefore = Buffer.from(from);
                const writer = {
                  folder: 'token',
                  openFile: async () => newSink(stored),
                  openFileFrom: async (
                    _path: Buffer,
                    _older: unknown,
                    { expectedBytes }: { expectedBytes: number },
                  ) => patchSink(stored, from, { picks, mostBytes: expectedBytes }),
                } as unknown as RunWriter;
                const source = sourceOf(content, pieceBytes, (pass) => {
                  if (pass > 1 || !whileRead) return;
                  apply(content, whileRead);
                  content.version++;
                });
                const transfer = new Transfer({
                  writer,
                  source,
                  reader: UNUSED,
                  sealing,
                  onProblem: () => undefined,
                });
                const blocks = before && large.blocksOf(before);
                let entry: Entry & { sha256: Buffer };
                if (!blocks) {
                  const sent = await transfer.sendLarge({ ...ENTRY, sizeBytes: content.bytes.length }, large);
                  ({ entry } = sent);
                  if (sent.blocks) large.note(entry, sent.blocks);
                } else {
                  const patched = await transfer.sendPatched(
                    { ...ENTRY, sizeBytes: content.bytes.length },
                    {
                      large,
                      older: { place: { folder: 'run', path: PATH }, sizeBytes: from.length },
                      before: blocks,
                      mostChangedBytes: Infinity,
                      isKnown: () => false,
                    },
                  );
                  if (patched.kind === 'read') {
                    ok(patched.isSame);
                    deepStrictEqual(patched.entry.sha256, before?.sha256);
                    continue;
                  }
                  equal(patched.kind, 'sent');
                  if (patched.kind !== 'sent') return;
                  patches++;
                  ({ entry } = patched.arrived);
                  large.note(entry, patched.blocks);
                  if (!isSealed) equal(patched.sentBytes, stored.writtenBytes);
                }
                ok(from.equals(asBefore), 'the older file is as it was');
                const expected = createHash('sha256').update(content.bytes).digest();
                deepStrictEqual(entry.sha256, expected);
                const read = isSealed ? await opened(stored.bytes) : stored.bytes;
                ok(read.equals(content.bytes), 'the content of the day');
                if (isSealed) equal(entry.sealedBytes, stored.bytes.length);
                if (isSealed)
                  ok((await openedByExtents(stored.bytes, entry)).equals(content.bytes), 'read by its data');
                older = stored;
                before = { sizeBytes: content.bytes.length, sha256: entry.sha256 };
              }
            },
          ),
          { numRuns: 40, endOnFailure: true },
        );
        t.ok(patches > 10, `${patches} files were made from older ones`);
      },
    );

async function opened(bytes: Buffer): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of openSealed(one(bytes), keyring)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(bytes); // it is opened in place
}

/** As a restore reads a file with holes: what has data alone. */
async function openedByExtents(bytes: Buffer, { sizeBytes, extents }: Entry): Promise<Buffer> {
  const content = Buffer.alloc(sizeBytes);
  const read = async function* (wanted: readonly Extent[]) {
    for (const { offsetBytes, lengthBytes } of wanted)
      yield { offsetBytes, bytes: Buffer.from(bytes.subarray(offsetBytes, offsetBytes + lengthBytes)) };
  };
  const data = extents ?? [{ offsetBytes: 0, lengthBytes: sizeBytes }];
  if (data.length === 0) return content;
  for await (const piece of openExtents(read, { extents: data, sizeBytes }, keyring))
    piece.bytes.copy(content, piece.offsetBytes);
  return content;
}
