import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { scan, source, temporaryFolder } from './tree.ts';

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest();

t.test('small files come back whole, with their hashes, however many are asked for at once', async (t) => {
  using folder = temporaryFolder('many');
  const contents = new Map<string, Buffer>();
  for (let index = 0; index < 700; index++) {
    const path = `${folder.path}/${index % 7}/file ${index}`;
    const content = Buffer.alloc((index * 997) % 5000, index);
    contents.set(path, content);
    fs.mkdirSync(`${folder.path}/${index % 7}`, { recursive: true });
    fs.writeFileSync(path, content);
  }
  const large = `${folder.path}/longer than a batch`;
  contents.set(large, Buffer.alloc(300_000, 7));
  fs.writeFileSync(large, contents.get(large) ?? '');
  await delay(2_100); // so that their times tell that nothing changed since
  const scanned = await scan([source(folder.path)]);
  await using reader = scanned.tree.openReader();
  for (let round = 0; round < 3; round++) {
    const reads = [...contents].map(async ([path, content]) => {
      const entry = scanned.entry(path);
      const read = await reader.read(entry);
      if (!read.content.equals(content) || !read.sha256.equals(sha256(content))) return path;
      if (read.entry !== entry || read.isChanging) return path;
      reader.recycle(read.content);
      return undefined;
    });
    t.same(
      (await Promise.all(reads)).filter((path) => path !== undefined),
      [],
      `round ${round}, in memory that was used before`,
    );
  }
});

t.test(
  'what changed since the scan is told as it was read, and what can not be read fails alone',
  async (t) => {
    using folder = temporaryFolder('changed');
    for (const name of ['grown', 'replaced', 'gone', 'link', 'fifo', 'same'])
      fs.writeFileSync(`${folder.path}/${name}`, name);
    const scanned = await scan([source(folder.path)]);
    fs.appendFileSync(`${folder.path}/grown`, ' since');
    fs.renameSync(`${folder.path}/replaced`, `${folder.path}/old`);
    fs.writeFileSync(`${folder.path}/replaced`, 'another');
    fs.rmSync(`${folder.path}/gone`);
    fs.rmSync(`${folder.path}/link`);
    fs.symlinkSync('/etc/hostname', `${folder.path}/link`);
    fs.rmSync(`${folder.path}/fifo`);
    execFileSync('mkfifo', [`${folder.path}/fifo`]);
    await using reader = scanned.tree.openReader();
    const read = (name: string) => reader.read(scanned.entry(`${folder.path}/${name}`));
    const [grown, replaced, gone, link, fifo, same] = await Promise.allSettled(
      ['grown', 'replaced', 'gone', 'link', 'fifo', 'same'].map(read),
    );
    t.match(grown, {
      value: { entry: { sizeBytes: 11 }, sha256: sha256(Buffer.from('grown since')) },
    });
    t.match(replaced, { value: { content: Buffer.from('another'), sha256: sha256(Buffer.from('another')) } });
    t.match(gone, { status: 'rejected', reason: { code: 'ENOENT' } });
    t.match(link, { status: 'rejected', reason: { code: 'ESTALE' } });
    t.match(fifo, { status: 'rejected', reason: { code: 'ESTALE' } });
    t.match(same, { value: { content: Buffer.from('same') } });
  },
);

t.test(
  'a reader that is disposed of has let go of what it read, and one that was never asked ends, too',
  async (t) => {
    using folder = temporaryFolder('disposed');
    fs.writeFileSync(`${folder.path}/file`, 'content');
    const scanned = await scan([source(folder.path)]);
    const reader = scanned.tree.openReader();
    const reading = reader.read(scanned.entry(`${folder.path}/file`));
    t.equal((await reading).content.toString(), 'content');
    await reader[Symbol.asyncDispose]();
    await t.rejects(reader.read(scanned.entry(`${folder.path}/file`)), /closed/);
    await scanned.tree.openReader()[Symbol.asyncDispose]();
    t.pass('both have ended');
  },
);

t.test(
  'a reader that is disposed of in the middle ends, with nothing else that keeps the process going',
  (t) => {
    using folder = temporaryFolder('middle');
    for (let index = 0; index < 60; index++)
      fs.writeFileSync(`${folder.path}/${index}`, Buffer.alloc(20_000, index));
    const program = `
    import { scan, source } from ${JSON.stringify(new URL('./tree.ts', import.meta.url).href)};
    const scanned = await scan([source(${JSON.stringify(folder.path)})]);
    const reader = scanned.tree.openReader();
    for (const entry of scanned.entries) if (entry.type === 'file') reader.read(entry).catch(() => undefined);
    await reader[Symbol.asyncDispose]();
    console.log('ended');`;
    const file = `${folder.path}/program.mjs`;
    fs.writeFileSync(file, program);
    // the thread may end before anybody looks, so once says little
    for (let attempt = 1; attempt <= 8; attempt++) {
      const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', env: {} });
      t.equal(stdout, 'ended\n', stderr);
    }
    t.end();
  },
);
