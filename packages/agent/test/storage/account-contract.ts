import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { MissingFromStorage } from '../../src/ports/storage-account.ts';
import type { Receipt, RunWriter, StorageAccount } from '../../src/ports/storage-account.ts';
import { parseRunName } from '@bakker/impl-format';
import type { ObjectCounts, RunName } from '@bakker/impl-format';

/** An empty account, and the folder on this disk that it lies in. */
export interface AccountUnderTest extends AsyncDisposable {
  readonly folder: string;
  /** A program of ours serves it: it names and retires runs itself, and counts what is published. */
  readonly hasShell?: boolean;
  /** Each call is a new session of the same account. */
  open(): Promise<StorageAccount>;
}

export const NOW_MS = Date.UTC(2024, 3, 18, 1);
const MIB = 1024 * 1024;
const OTHER_TOKEN = '0a'.repeat(16);
const ABOUT = { mtimeS: 1_700_000_000, executable: false };

/** What every adapter of `StorageAccount` promises, tried on real storage and looked at on the disk below it. */
export function checkAccountContract(name: string, make: () => Promise<AccountUnderTest>): void {
  t.test(`${name} publishes a run: names, content, times, manifest, receipt and latest`, async (t) => {
    await using account = await make();
    await using session = await account.open();
    await using writer = await session.begin({ nowMs: NOW_MS });
    const small = randomBytes(1000);
    const odd = Buffer.from([0x61, 0xff, 0x0a, 0x1b, 0xfe]);
    await Promise.all([
      writer.directory(Buffer.from('etc')),
      writer.file(Buffer.from('etc/small'), small, { mtimeS: 1_600_000_000, executable: true }),
      writer.directory(Buffer.from('etc/sub')),
      writer.file(Buffer.concat([Buffer.from('etc/sub/'), odd]), Buffer.alloc(0), ABOUT),
      writer.symlink(Buffer.from('etc/link'), Buffer.from('small')),
    ]);
    t.notOk(fs.existsSync(path.join(account.folder, writer.run)), 'no good name before the publish');
    if (account.hasShell !== true) t.equal(writer.run, '2024_04_18_01');
    await publish(writer, 'the manifest', { files: 2, directories: 2, symlinks: 1, bytes: 1000 });
    const run = path.join(account.folder, writer.run);
    const stat = fs.statSync(path.join(run, 'etc/small'));
    t.same(fs.readFileSync(path.join(run, 'etc/small')), small);
    t.equal(stat.mtimeMs, 1_600_000_000_000);
    t.equal(stat.mode & 0o777, 0o500);
    t.equal(fs.readlinkSync(path.join(run, 'etc/link')), 'small');
    t.same(fs.readdirSync(path.join(run, 'etc/sub'), { encoding: 'buffer' }), [odd]);
    t.equal(fs.readlinkSync(path.join(account.folder, 'latest')), writer.run);
    t.equal(fs.readFileSync(path.join(account.folder, `${writer.run}.impl`), 'utf8'), 'the manifest');
    t.same(
      fs.readdirSync(account.folder).sort(),
      ['.bakker', writer.run, `${writer.run}.impl`, 'latest'],
      'nothing unfinished stays',
    );
    t.match(await session.receipt(writer.run), {
      ...RECEIPT,
      manifestSha256: sha256('the manifest'),
      run: writer.run,
      token: writer.folder,
    });
    t.equal(await session.latest(), writer.run);
    t.same(await session.listRuns(), [{ run: writer.run, state: 'complete', manifestSizeBytes: 12 }]);
    t.equal(await text(session.manifest(writer.run)), 'the manifest');
  });

  t.test(`${name} links to the parent, to this run and says what can't be linked`, async (t) => {
    await using account = await make();
    await using session = await account.open();
    const first = await publishedRun(session, { 'a/file': 'content' });
    await using writer = await session.begin({ nowMs: NOW_MS });
    const made = writer.directory(Buffer.from('b'));
    const outcomes = await Promise.all([
      writer.link(Buffer.from('b/linked'), { folder: first, path: Buffer.from('a/file') }, 7),
      writer.link(Buffer.from('b/absent'), { folder: first, path: Buffer.from('a/nothing') }, 7),
    ]);
    await made;
    t.same(outcomes, ['linked', 'missing']);
    t.equal(
      await writer.link(Buffer.from('b/again'), { folder: writer.folder, path: Buffer.from('b/linked') }, 7),
      'linked',
    );
    await publish(writer, 'm', { files: 2, directories: 1, bytes: 14 });
    const inodes = [`${first}/a/file`, `${writer.run}/b/linked`, `${writer.run}/b/again`].map(
      (file) => fs.statSync(path.join(account.folder, file)).ino,
    );
    t.equal(new Set(inodes).size, 1);
    t.ok(writer.run > first, 'its name comes after');
    if (account.hasShell !== true) t.equal(writer.run, '2024_04_18_02');
    t.equal(await session.latest(), writer.run);
  });

  t.test(`${name} writes large files in pieces, with holes, and can start over or give up`, async (t) => {
    await using account = await make();
    await using session = await account.open();
    await using writer = await session.begin({ nowMs: NOW_MS });
    const piece = randomBytes(700_000);
    {
      await using sink = await writer.openFile(Buffer.from('large'), ABOUT);
      await sink.write(0, randomBytes(5_000_000));
      await sink.restart();
      await sink.write(0, piece);
      await sink.write(3_000_000, piece);
      await sink.finish(8_000_000);
    }
    {
      await using sink = await writer.openFile(Buffer.from('given-up'), ABOUT);
      await sink.write(0, piece);
      await sink.discard();
    }
    await publish(writer, 'm', { files: 1, bytes: 8_000_000 });
    const file = path.join(account.folder, writer.run, 'large');
    const expected = Buffer.concat([piece, Buffer.alloc(2_300_000), piece, Buffer.alloc(4_300_000)]);
    t.ok(fs.readFileSync(file).equals(expected));
    t.ok(fs.statSync(file).blocks * 512 < 2_000_000, 'holes stay holes');
    t.equal(fs.statSync(file).mtimeMs, ABOUT.mtimeS * 1000);
    t.notOk(fs.existsSync(path.join(account.folder, writer.run, 'given-up')));
    const pieces: [number, Buffer][] = [];
    const extents = [
      { offsetBytes: 10, lengthBytes: 699_990 },
      { offsetBytes: 3_000_000, lengthBytes: 700_000 },
    ];
    const wanted = { extents, sizeBytes: expected.length };
    for await (const { offsetBytes, bytes } of session.readExtents(writer.run, Buffer.from('large'), wanted))
      pieces.push([offsetBytes, bytes]);
    const got = Buffer.alloc(8_000_000);
    for (const [offset, bytes] of pieces) bytes.copy(got, offset);
    piece.copy(got, 0, 0, 10);
    t.ok(got.equals(expected));
  });

  t.test(
    `${name} makes a large file from an older one, and the last that is said of a place holds`,
    async (t) => {
      await using account = await make();
      await using session = await account.open();
      const sizeBytes = 48 * MIB;
      const content = randomBytes(sizeBytes);
      const older = await publishedLarge(session, content);
      const place = { folder: older, path: Buffer.from('large') };
      await using writer = await session.begin({ nowMs: NOW_MS, parent: older });
      const about = { ...ABOUT, expectedBytes: sizeBytes };
      const named = Buffer.from('large');
      if (!writer.openFileFrom) throw new Error('each of these storages can copy');
      // a shell tells the hash of what came of it
      if (account.hasShell !== true)
        t.equal(await writer.openFileFrom(named, { place, sizeBytes: sizeBytes - 1 }, about), undefined);
      const begins = Buffer.from('another beginning');
      t.equal(await writer.openFileFrom(named, { place, sizeBytes, begins }, about), undefined);
      const asWritten = { place, sizeBytes, begins: content.subarray(0, 100) };
      const sink = await writer.openFileFrom(named, asWritten, about);
      if (!sink) throw new Error('the older file is there');
      const changed = randomBytes(MIB);
      await sink.keep(0, 16 * MIB);
      await sink.write(16 * MIB, Buffer.from(changed));
      await sink.zero(17 * MIB, 2 * MIB);
      await sink.keep(19 * MIB, 16 * MIB);
      await sink.keep(35 * MIB, 13 * MIB);
      // it changed once more while it was read: what is kept may still be on its way
      await sink.write(47 * MIB, Buffer.from(changed));
      await sink.write(20 * MIB, Buffer.from(changed));
      await sink.zero(18 * MIB, 100_000);
      await sink.write(5, Buffer.from('again'));
      await sink.finish(sizeBytes);
      await publish(writer, 'm', { files: 1, bytes: sizeBytes });
      const expected = Buffer.from(content);
      for (const at of [16, 20, 47]) changed.copy(expected, at * MIB);
      expected.fill(0, 17 * MIB, 19 * MIB);
      expected.write('again', 5);
      const stored = (run: RunName): Buffer => fs.readFileSync(path.join(account.folder, run, 'large'));
      t.ok(stored(writer.run).equals(expected));
      t.ok(stored(older).equals(content), 'the older one is as it was');
    },
  );

  t.test(`${name} reads and lists, and tells what is not there`, async (t) => {
    await using account = await make();
    await using session = await account.open();
    const content = 'x'.repeat(600_000);
    const run = await publishedRun(session, { 'a/one': '1', 'a/many': content });
    t.equal((await session.readFile(run, Buffer.from('a/one'), 1)).toString(), '1');
    t.equal((await session.readFile(run, Buffer.from('a/many'), content.length)).toString(), content);
    t.not(
      (await session.readFile(run, Buffer.from('a/many'), 10)).length,
      10,
      'a file that is too long does not look right',
    );
    await t.rejects(session.readFile(run, Buffer.from('a/none'), 1), MissingFromStorage);
    t.equal(session.readFiles !== undefined, account.hasShell === true, 'by one message where it can be');
    if (session.readFiles) {
      const wanted = [
        ['a/one', 1],
        ['a/none', 1],
        ['a', 1],
        ['a/many', content.length],
        ['a/one', 1],
      ] as const;
      const read = await session.readFiles(
        run,
        wanted.map(([file, sizeBytes]) => ({ path: Buffer.from(file), sizeBytes })),
      );
      t.equal(read.length, wanted.length);
      const [one, none, folder, many, again] = read;
      t.equal(one?.toString(), '1');
      t.type(none, MissingFromStorage);
      t.match(folder, { code: 'STORAGE_REFUSED' });
      t.equal(many?.toString(), content, 'what no message has room for comes alone');
      t.equal(again?.toString(), '1');
    }
    await t.rejects(session.listFolder(run, Buffer.from('none')), MissingFromStorage);
    const items = (await session.listFolder(run, Buffer.from('a'))).toSorted((a, b) =>
      a.name.compare(b.name),
    );
    t.match(
      items.map(({ name: itemName, type, sizeBytes, linkCount }) => [
        itemName.toString(),
        type,
        sizeBytes,
        linkCount,
      ]),
      [
        ['many', 'file', 600_000, 1],
        ['one', 'file', 1, 1],
      ],
    );
    t.equal(await session.receipt(asRun('2020_01_01_01')), undefined);
    await t.rejects(text(session.manifest(asRun('2020_01_01_01'))), { code: 'MANIFEST_DAMAGED' });
  });

  t.test(`${name} carries over what an unfinished run left, and only what is whole`, async (t) => {
    await using account = await make();
    let token: string;
    let unfinished: string;
    {
      await using session = await account.open();
      await using writer = await session.begin({ nowMs: NOW_MS });
      token = writer.folder;
      unfinished = writer.run;
      await writer.directory(Buffer.from('a'));
      await writer.file(Buffer.from('a/whole'), Buffer.from('whole'), ABOUT);
      await writer.file(Buffer.from('a/cut'), Buffer.from('cu'), ABOUT);
    }
    await using session = await account.open();
    t.same(await session.listRuns(), [
      { run: unfinished, state: 'incomplete', manifestSizeBytes: undefined },
    ]);
    t.equal(await session.latest(), undefined);
    await using writer = await session.begin({ nowMs: NOW_MS });
    t.same(writer.carriedFolders, [token]);
    t.equal(
      await writer.link(Buffer.from('whole'), { folder: token, path: Buffer.from('a/whole') }, 5),
      'linked',
    );
    // a shell counts the bytes when the run is published
    if (account.hasShell !== true)
      t.equal(
        await writer.link(Buffer.from('cut'), { folder: token, path: Buffer.from('a/cut') }, 3),
        'missing',
      );
    await publish(writer, 'm', { files: 1, bytes: 5 });
    await writer.cleanUp({ signal: new AbortController().signal });
    t.same(fs.readdirSync(path.join(account.folder, writer.run)), ['whole']);
    t.same(fs.readdirSync(path.join(account.folder, '.bakker/carried')), []);
  });

  for (const [what, made] of [
    ['two notes', (run: string) => `${run}.token-${OTHER_TOKEN}`],
    ['the note of what was carried before', (_: string, token: string) => `carried/${token}`],
  ] as const) {
    t.test(`${name} links nothing from an unfinished run with ${what}`, async (t) => {
      await using account = await make();
      let unfinished: { run: string; folder: string };
      {
        await using session = await account.open();
        await using writer = await session.begin({ nowMs: NOW_MS });
        unfinished = { run: writer.run, folder: writer.folder };
        await writer.file(Buffer.from('file'), Buffer.from('content'), ABOUT);
      }
      const { run, folder } = unfinished;
      for (const place of ['carried', made(run, folder)].map((at) =>
        path.join(account.folder, '.bakker', at),
      )) {
        fs.mkdirSync(place, { recursive: true });
        fs.chownSync(place, ...ownerOf(account.folder));
      }
      await using session = await account.open();
      await using writer = await session.begin({ nowMs: NOW_MS });
      t.equal(writer.run, run, 'its name is free');
      const known = writer.carriedFolders.filter((carried) => carried === folder);
      t.equal(known.length, what === 'two notes' ? 0 : 1);
      t.equal(writer.carriedFolders.length - known.length, 1, 'carried only to be removed');
      t.notOk(writer.carriedFolders.includes(OTHER_TOKEN));
    });
  }

  t.test(`${name} leaves alone what is called like a run, and mends the rest`, async (t) => {
    await using account = await make();
    const at = (file: string) => path.join(account.folder, file);
    let runs: readonly [RunName, RunName];
    {
      await using session = await account.open();
      runs = [await publishedRun(session, { a: '1' }), await publishedRun(session, { a: '2' })];
    }
    const [first, moved] = runs;
    fs.renameSync(at(moved), at('elsewhere'));
    fs.symlinkSync('elsewhere', at(moved));
    fs.writeFileSync(at('2001_01_01_01.impl'), 'of no run');
    await using session = await account.open();
    await using writer = await session.begin({ nowMs: NOW_MS });
    t.ok(writer.run > moved, 'its name is not given again');
    t.equal(fs.readlinkSync(at(moved)), 'elsewhere');
    t.ok(fs.existsSync(at(`${moved}.impl`)), 'nor is its manifest removed');
    t.notOk(fs.existsSync(at('2001_01_01_01.impl')), 'a manifest of no run is');
    t.equal(fs.readlinkSync(at('latest')), first, 'latest points at a run');
  });

  t.test(`${name} publishes nothing of a writer whose run another one carried over`, async (t) => {
    await using account = await make();
    await using slow = await account.open();
    await using other = await account.open();
    if (account.hasShell === true) {
      await using _writer = await slow.begin({ nowMs: NOW_MS });
      await t.rejects(other.begin({ nowMs: NOW_MS }), { code: 'LOCKED' }, 'a shell lets nobody in');
      return;
    }
    const takenOver = { code: 'STORAGE_REFUSED', message: /another bakker took the account over/ };
    const begin = async (session: StorageAccount, file: string) => {
      const writer = await session.begin({ nowMs: NOW_MS });
      await writer.file(Buffer.from(file), Buffer.from(file), ABOUT);
      return writer;
    };
    {
      // before the publish
      await using first = await begin(slow, 'slow');
      await using second = await begin(other, 'other');
      t.equal(second.run, first.run, 'both have the same name');
      await t.rejects(publish(first, 'slow', { files: 1, bytes: 4 }), takenOver);
      t.notOk(fs.existsSync(path.join(account.folder, first.run)), "the other's half is no run");
      await publish(second, 'other', { files: 1, bytes: 5 });
      await t.rejects(publish(first, 'slow', { files: 1, bytes: 4 }), takenOver, 'nor once it is one');
    }
    for (const isPublished of [false, true]) {
      // while the manifest is written
      await using first = await begin(slow, 'slow');
      const stack = new AsyncDisposableStack();
      await using _left = stack;
      const meanwhile = async () => {
        const second = stack.use(await begin(other, 'other'));
        t.equal(second.run, first.run);
        if (isPublished) await publish(second, 'other', { files: 1, bytes: 5 });
      };
      await t.rejects(publish(first, 'slow', { files: 1, bytes: 4 }, meanwhile), takenOver);
      t.equal(fs.existsSync(path.join(account.folder, first.run)), isPublished);
    }
    const runs = await other.listRuns();
    for (const { run, state } of runs) {
      if (state !== 'complete') continue;
      t.same(fs.readdirSync(path.join(account.folder, run)), ['other']);
      t.equal(await text(other.manifest(run)), 'other');
      t.match(await other.receipt(run), { manifestSha256: sha256('other') });
    }
    t.equal(runs.filter(({ state }) => state === 'complete').length, 2);
  });

  t.test(`${name} never puts its manifest and receipt in place of those of a published run`, async (t) => {
    await using account = await make();
    if (account.hasShell === true) return; // nobody else can write there
    await using session = await account.open();
    await using writer = await session.begin({ nowMs: NOW_MS });
    const manifest = path.join(account.folder, `${writer.run}.impl`);
    const receipt = path.join(account.folder, '.bakker/receipts', `${writer.run}.json`);
    fs.mkdirSync(path.join(account.folder, writer.run));
    for (const file of [manifest, receipt]) fs.writeFileSync(file, "another's");
    await t.rejects(publish(writer, 'm', {}), { code: 'STORAGE_REFUSED' });
    for (const file of [manifest, receipt]) t.equal(fs.readFileSync(file, 'utf8'), "another's");
  });

  t.test(`${name} removes whole runs, never what latest needs, and empties the trash`, async (t) => {
    await using account = await make();
    await using session = await account.open();
    const signal = new AbortController().signal;
    const first = await publishedRun(session, { 'a/b/c': '1', 'a/d': '2' });
    const second = await publishedRun(session, { 'a/b/c': '1' });
    if (account.hasShell === true) {
      await t.rejects(session.removeRun(first, { signal }), { code: 'STORAGE_REFUSED' });
      t.equal((await session.listRuns()).length, 2, 'or leaves that to the storage');
      return;
    }
    await session.removeRun(first, { signal });
    t.same(fs.readdirSync(account.folder).sort(), ['.bakker', second, `${second}.impl`, 'latest']);
    t.same(fs.readdirSync(path.join(account.folder, '.bakker/trash')), []);
    t.same(fs.readdirSync(path.join(account.folder, '.bakker/receipts')), [`${second}.json`]);
    t.equal(await session.latest(), second);
    fs.mkdirSync(path.join(account.folder, '.bakker/trash/left/over'), { recursive: true });
    fs.chownSync(path.join(account.folder, '.bakker/trash/left/over'), ...ownerOf(account.folder));
    fs.chownSync(path.join(account.folder, '.bakker/trash/left'), ...ownerOf(account.folder));
    fs.mkdirSync(path.join(account.folder, `.bakker/trash/${second}.0123abcd`));
    await session.emptyTrash({ signal });
    t.same(fs.readdirSync(path.join(account.folder, '.bakker/trash')), []);
    t.ok(fs.existsSync(path.join(account.folder, `${second}.impl`)), 'of a name that is used again');
  });

  t.test(`${name} keeps one identity, and tells abilities and space`, async (t) => {
    await using account = await make();
    await using session = await account.open();
    const [identity, same] = await Promise.all([session.identity(), session.identity()]);
    t.equal(same, identity, 'also when it is made and asked for at once');
    await using again = await account.open();
    t.equal(await again.identity(), identity);
    t.match(identity, /^[0-9a-f]{32}$/);
    const abilities = await session.probe();
    t.match(abilities, {
      hardLinks: true,
      atomicRename: true,
      symlinks: true,
      anyBytesInNames: true,
      fsync: true,
    });
    t.ok(Math.abs(abilities.clockSkewMs ?? Number.NaN) < 600_000, 'minutes at the most');
    t.same(
      fs.readdirSync(path.join(account.folder, '.bakker')).filter((entry) => entry.startsWith('probe')),
      [],
    );
    const space = await session.space();
    t.ok(space && space.freeBytes > 0 && space.totalBytes >= space.freeBytes);
  });
}

const RECEIPT: Omit<Receipt, 'token' | 'run'> = {
  status: 'complete',
  startedAtMs: NOW_MS,
  finishedAtMs: NOW_MS + 1,
  files: 1,
  sourceBytes: 2,
  addedBytes: 3,
  manifestSha256: 'aa'.repeat(32),
  manifestDigest: 'bb'.repeat(32),
};

/**
 * @param objects - what the run's folder holds, which a storage may compare; 0 of what is left out
 * @param meanwhile - what happens while the manifest is written
 */
export async function publish(
  writer: RunWriter,
  manifest: string,
  objects: Partial<ObjectCounts>,
  meanwhile?: () => Promise<void>,
): Promise<void> {
  await writer.publish({
    manifest: () => pieces(manifest, meanwhile),
    manifestSizeBytes: manifest.length,
    receipt: { ...RECEIPT, manifestSha256: sha256(manifest), run: writer.run },
    objects: { files: 0, directories: 0, symlinks: 0, bytes: 0, ...objects },
  });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Publishes a run of text files; their folders are one or two levels deep. */
export async function publishedRun(
  session: StorageAccount,
  files: Readonly<Record<string, string>>,
): Promise<RunName> {
  await using writer = await session.begin({ nowMs: NOW_MS });
  const folders = new Set<string>();
  for (const [file, content] of Object.entries(files)) {
    const parts = file.split('/').slice(0, -1);
    for (const [index] of parts.entries()) {
      const folder = parts.slice(0, index + 1).join('/');
      if (!folders.has(folder)) await writer.directory(Buffer.from(folder));
      folders.add(folder);
    }
    const bytes = Buffer.from(content);
    if (bytes.length <= 255 * 1024) await writer.file(Buffer.from(file), bytes, ABOUT);
    else {
      await using sink = await writer.openFile(Buffer.from(file), ABOUT);
      await sink.write(0, bytes);
      await sink.finish(bytes.length);
    }
  }
  const contents = Object.values(files);
  const bytes = contents.reduce((sum, content) => sum + Buffer.byteLength(content), 0);
  await publish(writer, 'manifest', { files: contents.length, directories: folders.size, bytes });
  return writer.run;
}

/** Publishes a run of one large file. */
async function publishedLarge(session: StorageAccount, content: Buffer): Promise<RunName> {
  await using writer = await session.begin({ nowMs: NOW_MS });
  await using sink = await writer.openFile(Buffer.from('large'), ABOUT);
  for (let at = 0; at < content.length; at += MIB)
    await sink.write(at, Buffer.from(content.subarray(at, at + MIB)));
  await sink.finish(content.length);
  await publish(writer, 'manifest', { files: 1, bytes: content.length });
  return writer.run;
}

export async function text(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(bytes)).toString();
}

async function* pieces(content: string, meanwhile?: () => Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content.slice(0, 1));
  await meanwhile?.();
  yield Buffer.from(content.slice(1));
}

function asRun(name: string): RunName {
  const run = parseRunName(name);
  if (!run) throw new Error(`${name} is no run`);
  return run;
}

function ownerOf(folder: string): [number, number] {
  const { uid, gid } = fs.statSync(folder);
  return [uid, gid];
}
