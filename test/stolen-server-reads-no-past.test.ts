import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Keyring, parsePrivateKey } from '@bakker/impl-format/sealed';
import t from 'tap';
import { pseudoRandomBytes, writeSampleTree } from './harness/sample-tree.ts';
import { makeSealedWorld, type SealedWorld } from './harness/sealed-world.ts';

const ENVELOPE_AT = 32;
const COUNT_AT = 64;
const ENTRIES_AT = 65;
const ENTRY_BYTES = 56;

t.test('nothing that a server has at rest opens anything that it sealed', async (t) => {
  await using world = await makeSealedWorld({ kind: 'shell', hideNames: true });
  writeSampleTree(world.source, { files: 100 });
  const { run } = await world.backup();
  await world.backup();
  const secrets = await secretsOf(world, anyFile(`${world.storage}/${run}`));

  const files = filesBelow(`${world.bakker.folder}/etc`).concat(filesBelow(world.bakker.stateDir));
  t.ok(files.some((file) => file.endsWith('sealed.json')));
  t.ok(
    files.some((file) => file.endsWith('.impl')),
    'the clear copy of the last manifest is among them',
  );
  for (const file of files) {
    const mode = spawnSync('stat', ['-c', '%a', file], { encoding: 'utf8' }).stdout.trim();
    if (file.startsWith(world.bakker.stateDir)) t.equal(mode, '600', file);
    const bytes = readFileSync(file);
    for (const [what, key] of secrets)
      for (const form of formsOf(key)) t.notOk(bytes.includes(form), `${what} in ${file}`);
    const result = await world.bakker.run([
      'cat',
      'latest',
      `${world.source}/folder 0/file 1`,
      '--identity-key',
      file,
    ]);
    t.equal(result.status, 12, `${file} is no key`);
  }
  t.equal((await world.bakker.run(['restore', '--to', `${world.bakker.folder}/no`])).status, 12);
});

t.test('while a run is under way, the memory has its key and no other', async (t) => {
  await using world = await makeSealedWorld({ proxied: true, bytesPerSecond: 2_000_000 });
  writeSampleTree(world.source, { files: 50 });
  const { run } = await world.backup();
  const older = await secretsOf(world, anyFile(`${world.storage}/${run}`));

  mkdirSync(`${world.source}/new`);
  for (let index = 0; index < 40; index += 1)
    writeFileSync(`${world.source}/new/${index}`, pseudoRandomBytes(`new ${index}`, 200_000));
  const running = world.bakker.start(['backup', '--json']);
  const { pid } = running.process;
  if (pid === undefined) throw new Error('it did not start');
  try {
    const underWay = await untilThere(() => {
      const [folder] = readdirSync(world.storage).filter((name) => name.endsWith('.incomplete'));
      if (folder === undefined) return undefined;
      return filesBelow(`${world.storage}/${folder}`).find((file) => readFileSync(file).length > 200_000);
    });
    process.kill(pid, 'SIGSTOP');
    const [, runKey] = [...(await secretsOf(world, underWay)).values()];
    const memory = [...memoryOf(pid)];
    t.ok(
      runKey && memory.some((part) => part.includes(runKey)),
      'the key of this run is found: the look works',
    );
    for (const [what, key] of older)
      for (const part of memory) if (part.includes(key)) t.fail(`${what} is in memory`);
  } finally {
    process.kill(pid, 'SIGKILL');
    await running.finished;
  }
});

/** The private key, and the run key that a sealed file's header holds for it. */
async function secretsOf(world: SealedWorld, file: string): Promise<Map<string, Buffer>> {
  const privateKey = await parsePrivateKey(readFileSync(world.keyFile, 'utf8'), async () => undefined);
  const sealed = readFileSync(file);
  const end = ENTRIES_AT + (sealed[COUNT_AT] ?? 0) * ENTRY_BYTES;
  const runKey = new Keyring([privateKey]).runKey(sealed.subarray(ENVELOPE_AT, end)).export();
  return new Map([
    ['the private key', Buffer.from(privateKey)],
    ['the run key', runKey],
  ]);
}

function formsOf(key: Buffer): Buffer[] {
  return [key, Buffer.from(key.toString('hex')), Buffer.from(key.toString('base64').slice(0, 40))];
}

function anyFile(folder: string): string {
  const [file] = filesBelow(folder);
  if (file === undefined) throw new Error(`nothing in ${folder}`);
  return file;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
}

async function untilThere<Value>(look: () => Value | undefined): Promise<Value> {
  for (let tries = 0; tries < 2000; tries += 1) {
    const found = look();
    if (found !== undefined) return found;
    await delay(10);
  }
  throw new Error('it never came');
}

/** Everything that the process could write to, map by map. */
function* memoryOf(pid: number): Generator<Buffer> {
  const descriptor = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to, mode] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
      if (from === undefined || to === undefined || mode?.startsWith('rw') !== true) continue;
      const part = Buffer.alloc(Number(BigInt(`0x${to}`) - BigInt(`0x${from}`)));
      const bytesRead = readSync(descriptor, part, 0, part.length, Number(BigInt(`0x${from}`)));
      yield part.subarray(0, bytesRead);
    }
  } finally {
    closeSync(descriptor);
  }
}
