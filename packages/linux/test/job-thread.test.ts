import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { JobThread } from '../src/index.ts';

const INDEX = new URL('../src/index.ts', import.meta.url).href;

/** Waits as long as it is told, then answers how many jobs it has done; `throw`, `exit` and memory are special. */
function program(t: Test): URL {
  const file = `${t.testdir()}/program.ts`;
  writeFileSync(
    file,
    `import { serveJobs } from '${INDEX}';
    let done = 0;
    serveJobs(
      (job) => {
        if (job === 'exit') process.exit(3);
        if (job === 'throw') throw new Error('this one can not be done');
        if (job instanceof Uint8Array) return job.fill(7);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, job);
        return ++done;
      },
      (answer) => (answer instanceof Uint8Array ? [answer.buffer] : []),
    );`,
  );
  return pathToFileURL(file);
}

const options = (program: URL) => ({ program, youngMebibytes: 2, does: 'counts' });

t.test(
  'jobs are done and answered in order, and what one throws is thrown to its caller alone',
  async (t) => {
    await using thread = new JobThread<number | 'throw', number>(options(program(t)));
    const asked = [thread.ask(50), thread.ask('throw'), thread.ask(0)];
    t.match(await Promise.allSettled(asked), [
      { value: 1 },
      { reason: { message: 'this one can not be done' } },
      { value: 2 },
    ]);
  },
);

t.test('memory goes along with a job, and comes back with its answer', async (t) => {
  await using thread = new JobThread<Uint8Array, Uint8Array>(options(program(t)));
  const bytes = new Uint8Array(16);
  const answer = thread.ask(bytes, [bytes.buffer]);
  t.equal(bytes.length, 0);
  t.same(await answer, new Uint8Array(16).fill(7));
});

t.test('disposing waits for what was asked, and no more is taken then', async (t) => {
  const thread = new JobThread<number, number>(options(program(t)));
  const asked = thread.ask(100);
  await thread[Symbol.asyncDispose]();
  t.equal(await asked, 1);
  await t.rejects(thread.ask(0), { message: 'the thread that counts is closed' });
  await new JobThread(options(program(t)))[Symbol.asyncDispose]();
});

t.test('a thread that ends fails what waits for it; the next job starts another', async (t) => {
  await using thread = new JobThread<number | 'exit', number>(options(program(t)));
  t.equal(await thread.ask(0), 1);
  const asked = await Promise.allSettled([thread.ask('exit'), thread.ask(0)]);
  const lost = { status: 'rejected', reason: { message: 'the thread that counts has ended' } };
  t.match(asked, [lost, lost]);
  t.equal(await thread.ask(0), 1);
});

t.test('a process ends with a thread that has nothing to do, and not while one has', async (t) => {
  const file = `${t.testdir()}/main.ts`;
  writeFileSync(
    file,
    `import { JobThread } from '${INDEX}';
    const thread = new JobThread({ program: new URL('${program(t).href}'), youngMebibytes: 2, does: 'counts' });
    await thread.ask(0);
    void thread.ask(300).then((count) => console.log('answered', count));`,
  );
  const { stdout, status } = spawnSync(process.execPath, [...process.execArgv, file], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  t.equal(stdout, 'answered 2\n');
  t.equal(status, 0);
});
