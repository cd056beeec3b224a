import { SftpRefusal, STATUS, openSftp, serveSftp } from '@bakker/sftp';
import type { SftpReply, SftpRequest } from '@bakker/sftp';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { duplexPair } from 'node:stream';
import t, { type Test } from 'tap';
import { SftpRefusal as Refusal } from '../../../sftp/src/server/errors.ts';
import { FileService } from '../../../sftp/test/server/file-service.ts';
import { probeAbilities } from '../../src/adapters/plain/probe.ts';
import { removeTree } from '../../src/adapters/plain/remove-tree.ts';
import { SftpFileStore } from '../../src/adapters/plain/sftp-file-store.ts';

type Oddness = (request: SftpRequest, perform: (instead?: SftpRequest) => SftpReply) => SftpReply;

/** A store whose server does as `odd` says. */
async function storeOf(
  t: Test,
  odd: Oddness,
  { maxOpenHandles = 0, maxReadBytes = 1024 }: { maxOpenHandles?: number; maxReadBytes?: number } = {},
): Promise<{ store: SftpFileStore; folder: string }> {
  const folder = t.testdir({});
  const files = new FileService();
  const [here, there] = duplexPair();
  const perform = (request: SftpRequest): SftpReply => {
    try {
      return files.handle(request);
    } catch (error) {
      // its class is that of the source, and the server was built
      if (error instanceof Refusal) throw new SftpRefusal(error.status, error.message);
      throw error;
    }
  };
  const service = { handle: (request: SftpRequest) => odd(request, (instead = request) => perform(instead)) };
  const session = serveSftp({ input: there, output: there }, service, {
    extensions: [['hardlink@openssh.com', '1']],
  });
  const first = await openSftp(here);
  first.limitHandles(maxOpenHandles);
  t.teardown(async () => {
    await first.end();
    await session.finished.catch(() => undefined);
  });
  const store = new SftpFileStore({
    address: 'odd',
    first,
    names: Promise.resolve([first]),
    root: Buffer.from(folder),
    rootBytes: folder.length,
    maxReadBytes,
    maxWriteBytes: 1024,
    maxOpenHandles,
    close: () => Promise.resolve(),
  });
  return { store, folder };
}

const NEW = { mtimeS: 0, executable: false };

t.test('a server that gives fewer bytes than were asked for is asked for the rest', async (t) => {
  const { store, folder } = await storeOf(t, (_request, perform) => {
    const reply = perform();
    return 'type' in reply && reply.type === 'data' ? { ...reply, bytes: reply.bytes.subarray(0, 7) } : reply;
  });
  for (const sizeBytes of [0, 1, 7, 8, 100, 1023, 1024, 5000]) {
    const content = Buffer.from(Array.from({ length: sizeBytes }, (_, index) => index % 251));
    writeFileSync(`${folder}/${sizeBytes}`, content);
    const path = Buffer.from(String(sizeBytes));
    t.strictSame(await store.readFile(path, sizeBytes), content, `${sizeBytes} bytes`);
    t.strictSame(await store.readFile(path, sizeBytes + 10), content, 'a file that is too short stays so');
  }
});

t.test('no more files are open than the server has handles for', async (t) => {
  let openCount = 0;
  let mostOpen = 0;
  const { store, folder } = await storeOf(
    t,
    (request, perform) => {
      if (request.type === 'open' || request.type === 'opendir') {
        if (openCount === 4) throw new SftpRefusal(STATUS.FAILURE, 'too many open files');
        const reply = perform();
        mostOpen = Math.max(mostOpen, ++openCount);
        return reply;
      }
      if (request.type === 'close') openCount--;
      return perform();
    },
    { maxOpenHandles: 4 },
  );
  const names = Array.from({ length: 100 }, (_, index) => `file ${index}`);
  await Promise.all(names.map((name) => store.writeFile(Buffer.from(name), Buffer.from(name), NEW)));
  const taken = names.map((name) => store.writeFile(Buffer.from(name), Buffer.from(name), NEW));
  const outcomes = await Promise.allSettled(taken);
  t.ok(
    outcomes.every(({ status }) => status === 'rejected'),
    'a name that is taken gives its handle back',
  );
  const read = await Promise.all(names.map((name) => store.readFile(Buffer.from(name), name.length)));
  t.strictSame(read.map(String), names);
  t.equal(mostOpen, 4);
  t.equal(openCount, 0);
  t.equal(readFileSync(`${folder}/file 99`, 'utf8'), 'file 99');
});

t.test('a server that lists names alone is asked what they are', async (t) => {
  const { store, folder } = await storeOf(t, (_request, perform) => {
    const reply = perform();
    if (!('type' in reply) || reply.type !== 'names') return reply;
    return { ...reply, items: reply.items.map(({ name }) => ({ name, attributes: {} })) };
  });
  mkdirSync(`${folder}/below`);
  writeFileSync(`${folder}/file`, '12345');
  const items = [];
  for await (const batch of store.list(Buffer.alloc(0))) items.push(...batch);
  const told = items.map(({ name, type, sizeBytes }) => [
    name.toString(),
    type,
    type === 'file' ? sizeBytes : 0,
  ]);
  t.strictSame(told.sort(), [
    ['below', 'directory', 0],
    ['file', 'file', 5],
  ]);
});

t.test('a server that never tells what a name is, is no storage', async (t) => {
  const { store, folder } = await storeOf(t, (_request, perform) => {
    const reply = perform();
    if (!('type' in reply)) return reply;
    if (reply.type === 'attributes') return { ...reply, attributes: { sizeBytes: 5 } };
    if (reply.type !== 'names') return reply;
    return { ...reply, items: reply.items.map(({ name }) => ({ name, attributes: { sizeBytes: 5 } })) };
  });
  mkdirSync(`${folder}/2024_01_01_01`);
  await t.rejects(store.list(Buffer.alloc(0)).next(), {
    code: 'STORAGE_UNFIT',
    message: /does not tell whether 2024_01_01_01 is a file or a folder/,
  });
});

for (const name of ['../above', 'a/b', 'a\0b', '']) {
  t.test(`a listing with the name ${JSON.stringify(name)} is refused`, async (t) => {
    const { store, folder } = await storeOf(t, (_request, perform) => {
      const reply = perform();
      if (!('type' in reply) || reply.type !== 'names') return reply;
      const [item] = reply.items;
      return item ? { ...reply, items: [...reply.items, { ...item, name: Buffer.from(name) }] } : reply;
    });
    mkdirSync(`${folder}/below`);
    writeFileSync(`${folder}/above`, '');
    const removed = removeTree(store, Buffer.from('below'), new AbortController().signal);
    await t.rejects(removed, { code: 'STORAGE_UNFIT', message: /a name that no folder can hold/ });
    t.ok(existsSync(`${folder}/above`));
  });
}

t.test('a tree is removed by a server that lists names twice', async (t) => {
  const { store, folder } = await storeOf(t, (_request, perform) => {
    const reply = perform();
    if (!('type' in reply) || reply.type !== 'names') return reply;
    return { ...reply, items: [...reply.items, ...reply.items] };
  });
  mkdirSync(`${folder}/below/deeper/deepest`, { recursive: true });
  writeFileSync(`${folder}/below/deeper/file`, '1');
  await removeTree(store, Buffer.from('below'), new AbortController().signal);
  t.notOk(existsSync(`${folder}/below`));
});

const nameOf = (path: Buffer): string => path.toString().split('/').at(-1) ?? '';

const UNFIT: readonly (readonly [string, Oddness])[] = [
  [
    'takes names that differ in case for one',
    (request, perform) => {
      if (request.type === 'open' && nameOf(request.path) === 'CASE')
        throw new SftpRefusal(STATUS.FAILURE, 'it is there');
      return perform();
    },
  ],
  [
    'writes accents in another form',
    (request, perform) => {
      if (request.type !== 'open' && request.type !== 'remove') return perform();
      return perform({
        ...request,
        path: Buffer.from(request.path.toString('latin1').replace('e\u00cc\u0081', '\u00c3\u00a9'), 'latin1'),
      });
    },
  ],
];
for (const [words, odd] of UNFIT) {
  t.test(`a storage that ${words} is known by a try`, async (t) => {
    const { store, folder } = await storeOf(t, odd);
    mkdirSync(`${folder}/.bakker`);
    t.match(await probeAbilities(store), { hardLinks: true, anyBytesInNames: false });
    t.strictSame(readdirSync(`${folder}/.bakker`), []);
  });
}

t.test('a storage that keeps every name is known by a try', async (t) => {
  const { store, folder } = await storeOf(t, (_request, perform) => perform());
  mkdirSync(`${folder}/.bakker`);
  t.match(await probeAbilities(store), { hardLinks: true, anyBytesInNames: true });
});
