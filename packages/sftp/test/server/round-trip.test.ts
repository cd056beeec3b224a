import fc from 'fast-check';
import t from 'tap';
import type { Attributes } from '../../src/attributes.ts';
import type { SftpClient } from '../../src/client.ts';
import { handleOf } from '../../src/handle.ts';
import { linkCountOf } from '../../src/link-count.ts';
import { STATUS } from '../../src/protocol.ts';
import type { NamedItem, SftpReply, SftpRequest } from '../../src/server/service.ts';
import { OK, served } from './served.ts';

const bytes = (constraints: fc.IntArrayConstraints): fc.Arbitrary<Buffer> =>
  fc.uint8Array(constraints).map((array) => Buffer.from(array));
const pathBytes = bytes({ maxLength: 300 }).map((path) => Buffer.from(path.filter((byte) => byte !== 0)));
const handleBytes = bytes({ minLength: 1, maxLength: 256 });
const offset = fc.maxSafeNat();
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const attributes: fc.Arbitrary<Attributes> = fc
  .record({
    sizeBytes: fc.option(fc.maxSafeNat(), { nil: undefined }),
    permissions: fc.option(u32, { nil: undefined }),
    owner: fc.option(fc.tuple(u32, u32), { nil: undefined }),
    times: fc.option(fc.tuple(u32, u32), { nil: undefined }),
  })
  .map(({ sizeBytes, permissions, owner, times }) => ({
    sizeBytes,
    permissions,
    uid: owner?.[0],
    gid: owner?.[1],
    atimeS: times?.[0],
    mtimeS: times?.[1],
  }));

/** Each request as the client asks it and as the service must see it. */
interface Case {
  readonly ask: (client: SftpClient) => Promise<unknown>;
  readonly seen: SftpRequest;
  readonly reply: SftpReply;
  readonly answer: unknown;
}

const handle = handleBytes.map((value) => ({ value, client: handleOf(value, Buffer.from('/h')) }));
const done = { reply: OK, answer: undefined };
const onPath = fc.constantFrom('remove', 'rmdir');
const cases: fc.Arbitrary<Case> = fc.oneof(
  fc.tuple(onPath, pathBytes).map(([type, path]) => ({
    ask: (client: SftpClient) => client[type](path),
    seen: { type, path },
    ...done,
  })),
  fc.tuple(fc.constantFrom('lstat', 'stat'), pathBytes, attributes).map(([type, path, found]) => ({
    ask: (client: SftpClient) => client[type](path),
    seen: { type, path },
    reply: { type: 'attributes', attributes: found } as const,
    answer: found,
  })),
  fc.tuple(fc.constantFrom('realpath', 'readlink'), pathBytes, pathBytes).map(([type, path, target]) => ({
    ask: (client: SftpClient) => client[type](path),
    seen: { type, path },
    reply: { type: 'path', path: target } as const,
    answer: target,
  })),
  fc.tuple(pathBytes, handleBytes).map(([path, given]) => ({
    ask: (client: SftpClient) => client.opendir(path).then((opened) => opened.bytes),
    seen: { type: 'opendir', path } as const,
    reply: { type: 'handle', handle: given } as const,
    answer: given,
  })),
  fc.tuple(pathBytes, u32, attributes, handleBytes).map(([path, flags, wanted, given]) => ({
    ask: (client: SftpClient) => client.open(path, flags, wanted).then((opened) => opened.bytes),
    seen: { type: 'open', path, flags, attributes: wanted } as const,
    reply: { type: 'handle', handle: given } as const,
    answer: given,
  })),
  fc.tuple(fc.constantFrom('close', 'fsync'), handle).map(([type, { value, client: opened }]) => ({
    ask: (client: SftpClient) => client[type](opened),
    seen: { type, handle: value },
    ...done,
  })),
  fc.tuple(handle, attributes).map(([{ value, client: opened }, found]) => ({
    ask: (client: SftpClient) => client.fstat(opened),
    seen: { type: 'fstat', handle: value } as const,
    reply: { type: 'attributes', attributes: found } as const,
    answer: found,
  })),
  fc
    .tuple(handle, offset, u32, bytes({ maxLength: 40_000, size: 'max' }))
    .map(([{ value, client: opened }, at, length, data]) => ({
      ask: (client: SftpClient) => client.read(opened, at, length),
      seen: { type: 'read', handle: value, offset: at, length: Math.min(length, 261_120) } as const,
      reply: { type: 'data', bytes: data } as const,
      answer: data,
    })),
  fc
    .tuple(handle, offset, bytes({ maxLength: 200_000, size: 'max' }))
    .map(([{ value, client: opened }, at, data]) => ({
      ask: (client: SftpClient) => client.write(opened, at, data),
      seen: { type: 'write', handle: value, offset: at, bytes: data } as const,
      ...done,
    })),
  fc
    .tuple(fc.constantFrom('setstat', 'lsetstat', 'mkdir'), pathBytes, attributes)
    .map(([type, path, wanted]) => ({
      ask: (client: SftpClient) => client[type](path, wanted),
      seen: { type, path, attributes: wanted },
      ...done,
    })),
  fc.tuple(handle, attributes).map(([{ value, client: opened }, wanted]) => ({
    ask: (client: SftpClient) => client.fsetstat(opened, wanted),
    seen: { type: 'fsetstat', handle: value, attributes: wanted } as const,
    ...done,
  })),
  fc.tuple(pathBytes, pathBytes).map(([from, to]) => ({
    ask: (client: SftpClient) => client.rename(from, to),
    seen: { type: 'rename', from, to } as const,
    ...done,
  })),
  fc.tuple(pathBytes, pathBytes).map(([from, to]) => ({
    ask: (client: SftpClient) => client.posixRename(from, to),
    seen: { type: 'posix-rename', from, to } as const,
    ...done,
  })),
  fc.tuple(pathBytes, pathBytes).map(([from, to]) => ({
    ask: (client: SftpClient) => client.hardlink(from, to),
    seen: { type: 'hardlink', from, to } as const,
    ...done,
  })),
  fc.tuple(pathBytes, pathBytes).map(([target, path]) => ({
    ask: (client: SftpClient) => client.symlink(target, path),
    seen: { type: 'symlink', target, path } as const,
    ...done,
  })),
  fc.tuple(handle, offset, offset, handle, offset).map(([from, fromOffset, length, to, toOffset]) => ({
    ask: (client: SftpClient) =>
      client.copyData({ from: from.client, fromOffset, length, to: to.client, toOffset }),
    seen: { type: 'copy-data', from: from.value, fromOffset, length, to: to.value, toOffset } as const,
    ...done,
  })),
  fc
    .tuple(
      pathBytes,
      fc.array(offset, { minLength: 9, maxLength: 9 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.boolean(),
      fc.boolean(),
    )
    .map(([path, counts, fileSystemId, readOnly, noSetuid]) => {
      const count = (index: number): number => counts[index] ?? 0;
      const status = {
        blockSizeBytes: count(0),
        fragmentSizeBytes: count(1),
        blocks: count(2),
        freeBlocks: count(3),
        availableBlocks: count(4),
        inodes: count(5),
        freeInodes: count(6),
        availableInodes: count(7),
        maxNameBytes: count(8),
        fileSystemId,
        readOnly,
        noSetuid,
      };
      return {
        ask: (client: SftpClient) => client.statvfs(path),
        seen: { type: 'statvfs', path } as const,
        reply: { type: 'statvfs', status } as const,
        answer: status,
      };
    }),
  fc
    .record({ maxPacketBytes: offset, maxReadBytes: offset, maxWriteBytes: offset, maxOpenHandles: offset })
    .map((limits) => ({
      ask: (client: SftpClient) => client.limits(),
      seen: { type: 'limits' } as const,
      reply: { type: 'limits', limits } as const,
      answer: limits,
    })),
  fc
    .tuple(
      bytes({ maxLength: 200 }),
      bytes({ maxLength: 500 }),
      bytes({ maxLength: 100_000, size: 'max' }),
      bytes({ maxLength: 100_000, size: 'max' }),
    )
    .map(([suffix, body, payload, back]) => {
      const name = `verb-${suffix.toString('latin1')}`;
      return {
        ask: (client: SftpClient) => client.extended(name, body, payload),
        seen: { type: 'extended', name, body: Buffer.concat([body, payload]), isOwnMemory: false } as const,
        reply: { type: 'extended', body: back } as const,
        answer: back,
      };
    }),
);

t.test('every request reaches the service as it was asked, and its reply the client', async (t) => {
  const kinds = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(cases, fc.boolean()), { minLength: 1, maxLength: 40 }),
      async (list) => {
        const seen: SftpRequest[] = [];
        const { client, session } = await served((request) => {
          const [one, atOnce] = list[seen.length] ?? [];
          // Views of the input are good until the reply only.
          // how the packet came to lie where it does is not what was asked
          seen.push({
            ...structuredClone(request),
            ...(request.type === 'extended' && { isOwnMemory: false }),
          });
          if (one === undefined) throw new Error('more came than was asked');
          return atOnce ? one.reply : Promise.resolve(one.reply);
        });
        const answers = await Promise.all(list.map(([{ ask }]) => ask(client)));
        for (const [index, [{ seen: expected, answer }]] of list.entries()) {
          kinds.add(expected.type);
          if (!same(seen[index], expected)) throw new Error(`another ${expected.type} came`);
          if (!same(answers[index], answer)) throw new Error(`another answer to ${expected.type} came`);
        }
        await client.end();
        await session.finished;
      },
    ),
    { numRuns: 150 },
  );
  t.strictSame([...kinds].sort(), [
    'close',
    'copy-data',
    'extended',
    'fsetstat',
    'fstat',
    'fsync',
    'hardlink',
    'limits',
    'lsetstat',
    'lstat',
    'mkdir',
    'open',
    'opendir',
    'posix-rename',
    'read',
    'readlink',
    'realpath',
    'remove',
    'rename',
    'rmdir',
    'setstat',
    'stat',
    'statvfs',
    'symlink',
    'write',
  ]);
});

t.test('names of any bytes come back from a folder, with a line for people', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          name: bytes({ minLength: 1, maxLength: 255 }),
          attributes,
          linkCount: fc.option(u32, { nil: undefined }),
          longName: fc.option(bytes({ maxLength: 100 }), { nil: undefined }),
        }),
        { minLength: 1, maxLength: 100 },
      ),
      async (items: NamedItem[]) => {
        const { client } = await served(() => ({ type: 'names', items }));
        const found = (await client.readdir(handleOf(Buffer.from('h'), Buffer.from('/')))) ?? [];
        if (found.length !== items.length) throw new Error('not as many names');
        for (const [index, item] of items.entries()) {
          const { name, attributes: its, longName } = found[index] ?? {};
          if (!same(name, item.name) || !same(its, item.attributes)) throw new Error('another name came');
          if (item.longName !== undefined) {
            if (!same(longName, item.longName)) throw new Error('another line came');
            continue;
          }
          const line = (longName ?? Buffer.alloc(0)).toString();
          if (/[\0-\x1f\x7f-\x9f]/.test(line)) throw new Error(`no harmless line: ${line}`);
          const { permissions } = item.attributes;
          const expected = permissions === undefined ? undefined : item.linkCount;
          if (permissions !== undefined && linkCountOf(Buffer.from(line)) !== expected)
            throw new Error(`no link count: ${line}`);
        }
        await client.end();
      },
    ),
    { numRuns: 100 },
  );
  t.pass('no counterexample');
});

t.test('the line for people is like that of ls', async (t) => {
  const { client } = await served(() => ({
    type: 'names',
    items: [
      {
        name: Buffer.from('caf\u00e9 \u001b[2J'),
        linkCount: 3,
        attributes: {
          permissions: 0o104755,
          uid: 0,
          gid: 1000,
          sizeBytes: 5,
          atimeS: 0,
          mtimeS: 1713409872.5,
        },
      },
      { name: Buffer.from([0x66, 0xff]), attributes: { permissions: 0o041776 } },
      { name: Buffer.from('.'), attributes: { atimeS: -1, mtimeS: 1e20 } },
    ],
  }));
  const found = await client.readdir(handleOf(Buffer.from('h'), Buffer.from('/')));
  t.strictSame(
    found?.map(({ longName }) => longName.toString()),
    [
      '-rwsr-xr-x    3 0        1000            5 2024-04-18 03:11 caf\u00e9 \\x1b[2J',
      'drwxrwxrwT    ? ?        ?               ?                ? f\\xff',
      '??????????    ? ?        ?               ? 2106-02-07 06:28 .',
    ],
  );
});

t.test('the extensions that were given are announced, in order', async (t) => {
  const extensions = [
    ['bakker', '1'],
    ['copy-data', '1'],
    ['odd\xff', ''],
  ] as const;
  const { client } = await served(() => OK, { extensions });
  t.strictSame([...client.extensions], extensions);
  const { client: other } = await served(() => OK);
  t.equal(other.extensions.size, 0);
});

t.test("a refusal's code and words reach the client, whichever code it is", async (t) => {
  const { client } = await served(() => ({ type: 'status', code: 1003, message: 'not whole \u2013 again' }));
  await t.rejects(client.extended('publish@bakker', Buffer.alloc(0)), {
    name: 'SftpStatusError',
    status: 1003,
    serverMessage: 'not whole \u2013 again',
    message: 'publish@bakker: not whole \u2013 again (SFTP status 1003)',
  });
  const { client: terse } = await served(() => ({ type: 'status', code: STATUS.PERMISSION_DENIED }));
  await t.rejects(terse.rmdir(Buffer.from('/x')), { message: 'rmdir /x: permission denied (SFTP status 3)' });
});

t.test('a verb answered by OK gives an empty body', async (t) => {
  const { client } = await served(() => OK);
  t.strictSame(await client.extended('abandon@bakker', Buffer.from('{}')), Buffer.alloc(0));
});

t.test('a handle that a verb gave takes writes', async (t) => {
  const given = Buffer.from([0, 0, 0, 7]);
  const seen: string[] = [];
  const { client } = await served((request) => {
    if (request.type === 'extended') return { type: 'extended', body: given };
    if (request.type === 'write') seen.push(`${request.handle.toString('hex')} ${request.bytes.length}`);
    return OK;
  });
  const opened = handleOf(await client.extended('create@bakker', Buffer.alloc(0)), Buffer.from('big'));
  await client.write(opened, 0, Buffer.alloc(200_000));
  t.strictSame(seen, ['00000007 200000']);
  t.throws(() => handleOf(Buffer.alloc(0), Buffer.alloc(0)), RangeError);
  t.throws(() => handleOf(Buffer.alloc(257), Buffer.alloc(0)), RangeError);
});

/** Equal, a field that is undefined being no field; byte arrays by their bytes. */
function same(left: unknown, right: unknown): boolean {
  if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.compare(left, right) === 0;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null)
    return left === right;
  const fields = new Map<string, unknown>(Object.entries(left));
  const others = new Map<string, unknown>(Object.entries(right));
  return [...new Set([...fields.keys(), ...others.keys()])].every((key) =>
    same(fields.get(key), others.get(key)),
  );
}

t.test("memory is said to be a request's own only where nothing else lies in it", async (t) => {
  const seen: { isOwnMemory: boolean; bodyBytes: number; memoryBytes: number }[] = [];
  const { client } = await served((request) => {
    if (request.type === 'extended') {
      const { body, isOwnMemory } = request;
      seen.push({ isOwnMemory, bodyBytes: body.length, memoryBytes: body.buffer.byteLength });
    }
    return OK;
  });
  await Promise.all(
    [10, 200_000, 20, 250_000].map((bytes) => client.extended('x@y', Buffer.alloc(0), Buffer.alloc(bytes))),
  );
  t.equal(seen.length, 4);
  for (const { isOwnMemory, bodyBytes, memoryBytes } of seen)
    t.ok(!isOwnMemory || memoryBytes < bodyBytes + 100, `${bodyBytes} bytes in ${memoryBytes}`);
  t.ok(seen.some(({ isOwnMemory }) => isOwnMemory));
});
