import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { hashOnThread } from '../../src/adapters/source/hash-threads.ts';

t.test('files are hashed on other threads, holes and all, and their memory comes back', async (t) => {
  const files = Array.from({ length: 6 }, () => randomBytes(3_000_000));
  const made = files.map(async (content, index) => {
    const hash = hashOnThread();
    const back: Buffer[] = [];
    for (let at = 0; at < content.length; at += 700_000) {
      const piece = Buffer.alloc(Math.min(700_000, content.length - at));
      content.copy(piece, 0, at);
      const hashed = hash.update(1000 + at, piece);
      if (piece.length > 0) t.fail('it is the other thread’s meanwhile');
      back.push(await hashed);
    }
    t.ok(Buffer.concat(back).equals(content), `file ${index}`);
    return hash.finish(content.length + 5_000_000);
  });
  for (const [index, sha256] of (await Promise.all(made)).entries()) {
    const whole = Buffer.concat([
      Buffer.alloc(1000),
      files[index] ?? Buffer.alloc(0),
      Buffer.alloc(4_999_000),
    ]);
    t.same(sha256, createHash('sha256').update(whole).digest());
  }
});

t.test('one that is given up is forgotten; threads do not keep a process alive', async (t) => {
  const given = hashOnThread();
  await given.update(0, Buffer.alloc(10));
  given.giveUp();
  given.giveUp();
  const hash = hashOnThread();
  t.same(await hash.finish(0), createHash('sha256').digest());
  const program = `
    const { hashOnThread } = await import(${JSON.stringify(new URL('../../src/adapters/source/hash-threads.ts', import.meta.url).href)});
    const hash = hashOnThread();
    await hash.update(0, Buffer.alloc(100));
    console.log((await hash.finish(100)).toString('hex'));`;
  const file = `${t.testdir({ 'program.mjs': program })}/program.mjs`;
  const options = { encoding: 'utf8', env: {}, timeout: 60_000 } as const;
  const printed = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', file], options);
  t.equal(printed.trim(), createHash('sha256').update(Buffer.alloc(100)).digest('hex'));
});
