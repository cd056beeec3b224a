import { MAX_GET_BYTES, MAX_GET_FILES, VERB } from '@bakker/impl-format';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { Shell, publishRun, statusOf, string, temporaryRoot, u32 } from './shell-client.ts';

type Wanted = readonly (readonly [path: string, mostBytes: number])[];

function bodyOf(wanted: Wanted): Buffer {
  return Buffer.concat(wanted.flatMap(([path, mostBytes]) => [string(path), u32(mostBytes)]));
}

/** The answers, taken apart as docs/storage-protocol.md has them. */
async function getMany(shell: Shell, wanted: Wanted): Promise<[status: number, text: string][]> {
  const reply = await shell.verb(VERB.getMany, bodyOf(wanted));
  t.ok(reply.length <= MAX_GET_BYTES);
  const answers: [number, string][] = [];
  for (let at = 0; at < reply.length;) {
    const end = at + 8 + reply.readUInt32BE(at + 4);
    answers.push([reply.readUInt32BE(at), reply.toString('latin1', at + 8, end)]);
    at = end;
  }
  return answers;
}

t.test('many files come in one message, in the order asked; what can not is refused alone', async (t) => {
  using root = temporaryRoot('get-many');
  const run = await publishRun(root.path, { 'a/one': '1', 'a/two': 'two', empty: '', 'a/n\xff': 'odd' });
  mkdirSync(`${root.path}/server2`);
  writeFileSync(`${root.path}/server2/secret`, 'secret');
  symlinkSync('../../server2/secret', `${root.account}/${run}/out`);
  symlinkSync('a/one', `${root.account}/${run}/in`);
  execFileSync('mkfifo', [`${root.account}/${run}/fifo`]);
  await using shell = await Shell.open({ root: root.path, role: 'restore' });
  t.same(
    await getMany(shell, [
      [`${run}/a/two`, 100],
      [`${run}/a/one`, 1],
      [`${run}/empty`, 0],
      [`${run}/a/n\xff`, 3],
      [`${run}/a/two`, 3],
    ]),
    [
      [0, 'two'],
      [0, '1'],
      [0, ''],
      [0, 'odd'],
      [0, 'two'],
    ],
  );
  const refused = await getMany(shell, [
    [`${run}/a/two`, 2],
    [`${run}/none`, 9],
    [`${run}/out`, 9],
    [`${run}/in`, 9],
    [`${run}/a`, 9],
    [`${run}/fifo`, 9],
    [`${run}.impl`, 9],
    ['latest/a/one', 9],
    ['.bakker/id', 99],
    [run, 9],
    [`${run}/a/one`, 9],
  ]);
  t.same(
    refused.map(([status]) => status),
    [4, 2, 2, 2, 4, 4, 2, 2, 2, 2, 0],
  );
  t.notMatch(JSON.stringify(refused), 'secret');
  t.same(await getMany(shell, []), []);
});

t.test('a reply has no more than a packet holds: the rest is left out', async (t) => {
  using root = temporaryRoot('get-room');
  const run = await publishRun(root.path, {
    large: 'l'.repeat(100_000),
    most: 'm'.repeat(MAX_GET_BYTES - 8),
    longer: 'x'.repeat(MAX_GET_BYTES - 7),
  });
  await using shell = await Shell.open({ root: root.path, role: 'restore' });
  const large = [`${run}/large`, 0xffff_ffff] as const;
  const lengths = async (wanted: Wanted): Promise<[number, number][]> =>
    (await getMany(shell, wanted)).map(([status, { length }]) => [status, length]);
  t.same(await lengths([large, large, large, large]), [
    [0, 100_000],
    [0, 100_000],
  ]);
  t.same(await lengths([[`${run}/most`, 1_000_000], large]), [[0, MAX_GET_BYTES - 8]]);
  t.match(await getMany(shell, [[`${run}/longer`, 1_000_000]]), [[4, /longer than/]]);
  t.same(
    (await lengths(Array.from({ length: MAX_GET_FILES }, () => [`${run}/none`, 1]))).length,
    MAX_GET_FILES,
  );
});

t.test('what makes no sense is refused as a whole', async (t) => {
  using root = temporaryRoot('get-none');
  const run = await publishRun(root.path, { file: 'content' });
  await using shell = await Shell.open({ root: root.path, role: 'restore' });
  const file = [`${run}/file`, 9] as const;
  const ask = (body: Buffer) => statusOf(shell.verb(VERB.getMany, body));
  const whole = bodyOf([file, file]);
  for (const cut of [1, 4, 5, whole.length / 2 + 3]) t.equal(await ask(whole.subarray(0, -cut)), 5, `${cut}`);
  for (const path of [`${run}/../file`, `/${run}/file`, `${run}//file`, ''])
    t.equal(await ask(bodyOf([file, [path, 9]])), 5, path);
  t.equal(await ask(bodyOf(Array.from({ length: MAX_GET_FILES + 1 }, () => file))), 5);
  t.same(await getMany(shell, [file]), [[0, 'content']]);
  await using blind = await Shell.open({ root: root.path, noRead: true });
  t.equal(await statusOf(blind.verb(VERB.getMany, whole)), 3);
});

t.test(
  'a file of more than a packet is not read whole into memory, whatever the client says that it takes',
  async (t) => {
    using root = temporaryRoot('get-large');
    const run = await publishRun(root.path, { fits: '' });
    truncateSync(`${root.account}/${run}/fits`, MAX_GET_BYTES);
    writeFileSync(`${root.account}/${run}/large`, '');
    truncateSync(`${root.account}/${run}/large`, MAX_GET_BYTES + 1);
    await using shell = await Shell.open({ root: root.path, role: 'restore' });
    const get = (name: string): Promise<Buffer> =>
      shell.verb(VERB.get, Buffer.concat([string(`${run}/${name}`), u32(2 ** 32 - 1)]));
    t.equal((await get('fits')).length, 4 + MAX_GET_BYTES);
    t.equal(await statusOf(get('large')), 4);
  },
);
