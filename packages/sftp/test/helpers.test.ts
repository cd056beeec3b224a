import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { linkCountOf } from '../src/link-count.ts';
import { listFolder } from '../src/list-folder.ts';
import { STATUS } from '../src/protocol.ts';
import { readAll } from '../src/read-all.ts';
import { realServer } from './real-server.ts';

t.test('readAll gives the file whole, whatever length was expected', async (t) => {
  const { client, at, folder } = await realServer(t);
  const sizes = [0, 1, 4096, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 5_000_000];
  for (const size of sizes) {
    const content = randomBytes(size);
    writeFileSync(`${folder}/file`, content);
    for (const hint of [
      undefined,
      0,
      size,
      size + 1,
      Math.max(0, size - 1),
      size * 2,
      Math.floor(size / 2),
    ]) {
      t.ok((await readAll(client, at('file'), hint)).equals(content), `${size} bytes, ${hint} expected`);
    }
  }
  await t.rejects(readAll(client, at('none'), 5), { name: 'SftpStatusError', status: STATUS.NO_SUCH_FILE });
  mkdirSync(`${folder}/dir`);
  await t.rejects(readAll(client, at('dir'), 5), { name: 'SftpStatusError', status: STATUS.FAILURE });
});

t.test('listFolder gives each name once', async (t) => {
  const { client, at, folder } = await realServer(t);
  for (const count of [0, 1, 97, 98, 99, 100, 101, 2500]) {
    const names = Array.from({ length: count }, (_, index) => `name-${index}`);
    if (count > 2) names.push('...', '.hidden', '..x');
    mkdirSync(`${folder}/${count}`);
    for (const name of names) writeFileSync(`${folder}/${count}/${name}`, name);
    const found = [];
    for await (const items of listFolder(client, at(String(count)))) found.push(...items);
    t.strictSame(found.map(({ name }) => name.toString()).sort(), names.sort());
    t.ok(found.every(({ name, attributes }) => attributes.sizeBytes === name.length));
  }
  for await (const items of listFolder(client, at('2500'))) {
    t.ok(items.length > 0);
    break;
  }
  await t.rejects(listFolder(client, at('none')).next(), {
    name: 'SftpStatusError',
    status: STATUS.NO_SUCH_FILE,
  });
  await client.below(1);
  t.equal(client.failure, undefined, 'stopping early leaves the connection good');
});

t.test('more folders are listed than the server has handles', async (t) => {
  const { client, at } = await realServer(t);
  const { maxOpenHandles } = await client.limits();
  let listed = 0;
  const worker = async (): Promise<void> => {
    for (; listed < maxOpenHandles + 200; listed++) {
      for await (const items of listFolder(client, at(''))) t.equal(items.length, 0);
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  t.ok(listed > maxOpenHandles);
});

t.test("linkCountOf reads OpenSSH's line", async (t) => {
  const { client, at, folder } = await realServer(t);
  mkdirSync(`${folder}/tree/sub`, { recursive: true });
  writeFileSync(`${folder}/tree/one`, '');
  writeFileSync(`${folder}/tree/many`, '');
  for (let index = 0; index < 1200; index++) linkSync(`${folder}/tree/many`, `${folder}/link-${index}`);
  const counts = new Map<string, number | undefined>();
  for await (const items of listFolder(client, at('tree'))) {
    for (const { name, longName } of items) counts.set(name.toString(), linkCountOf(longName));
  }
  t.strictSame(Object.fromEntries(counts), { one: 1, many: 1201, sub: 2 });
});

t.test('linkCountOf says nothing of lines in another shape', async (t) => {
  const count = (line: string): number | undefined => linkCountOf(Buffer.from(line));
  t.equal(count('-rw-r--r--+   3 root root 5 Jan  1 00:00 name'), 3);
  t.equal(count('-rw-r--r--    ? root root 5 Jan  1 00:00 name'), undefined);
  t.equal(count('-rw-r--r--  12x root root 5 Jan  1 00:00 name'), undefined);
  t.equal(count('01-01-24  10:00AM    12 some name of Windows'), undefined);
  t.equal(count('-rw-r--r--  99999999999 root root 5 Jan 1 name'), undefined);
  t.equal(count('name'), undefined);
  t.equal(count(''), undefined);
});
