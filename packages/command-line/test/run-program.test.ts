import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import t from 'tap';

const MAIN = new URL('pretend-main.ts', import.meta.url).pathname;
const ARGV = ['--disable-warning=ExperimentalWarning', MAIN];
const env = { ...process.env, BAKKER_DEBUG: '' };

function run(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...ARGV, ...words], {
    maxBuffer: 2 ** 24,
    encoding: 'utf8',
    env,
  });
  return { status, stdout, stderr };
}

/** Starts a command, and sends it these signals once it waits. */
async function interrupted(command: string, signals: readonly NodeJS.Signals[]) {
  const child = spawn(process.execPath, [...ARGV, command], { env });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  while (!stderr.includes('waiting\n')) await once(child.stderr, 'data');
  const ended = once(child, 'close');
  for (const signal of signals) {
    child.kill(signal);
    // Two that arrive at once are one to the kernel.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const [status, killedBy] = (await ended) as [number | null, NodeJS.Signals | null];
  return { status, killedBy, stderr };
}

t.test('a result is on standard output, with the status of the command', (t) => {
  t.same(run('fine'), { status: 3, stdout: 'done\n', stderr: '' });
  t.same(run('fine', '--json'), { status: 3, stdout: '"done"\n', stderr: '' });
  t.equal(run('many').stdout.length, 4_000_001, 'all of it, before the process ends');
  t.same(run('--version'), { status: 0, stdout: '1.2.3\n', stderr: '' });
  t.match(run('--help'), { status: 0, stdout: /^pretend is here/, stderr: '' });
  t.match(run('fine', '--help'), { status: 0, stdout: /^pretend fine\n/, stderr: '' });
  t.end();
});

t.test('failures are on standard error, with the status of their code', (t) => {
  t.same(run('full'), { status: 13, stdout: '', stderr: 'pretend: no room\\nleft\n  make room\n' });
  t.match(run('fnie'), {
    status: 2,
    stdout: '',
    stderr: /^pretend: there is no command fnie\n {2}did you mean fine/,
  });
  t.match(run('fault'), {
    status: 1,
    stdout: '',
    stderr: /^pretend: unexpected TypeError: x is undefined\n/,
  });
  t.match(run('uncaught'), { status: 1, stderr: /^pretend: unexpected TypeError: nobody waits for this\n/ });
  t.end();
});

t.test('a program that waits for nothing says so instead of ending well', (t) => {
  t.match(run('never'), { status: 1, stdout: '', stderr: /^pretend: unexpected end: .*\n$/ });
  t.end();
});

t.test('nobody is asked where nobody is', (t) => {
  const expected = 'pretend: Really? Nobody is there to answer\n  --yes answers for you\n';
  t.same(run('ask'), { status: 1, stdout: '', stderr: expected });
  t.end();
});

t.test('a reader that goes away is no failure, a full disk is one', async (t) => {
  const child = spawn(process.execPath, [...ARGV, 'many'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdout.destroy();
  const [status] = (await once(child, 'close')) as [number | null];
  t.same({ status, stderr }, { status: 3, stderr: '' });

  const full = openSync('/dev/full', 'w');
  const ended = spawnSync(process.execPath, [...ARGV, 'fine'], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  t.equal(ended.status, 1);
  t.equal(ended.stderr, "pretend: standard output can't be written: ENOSPC\n");
});

t.test('the first signal stops in order, a second ends at once', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const stderr = `waiting\npretend: interrupted by ${signal}\n  call it again\n`;
    t.same(await interrupted('wait', [signal]), { status: 130, killedBy: null, stderr });
  }
  t.same(await interrupted('stuck', ['SIGTERM', 'SIGINT']), {
    status: 130,
    killedBy: null,
    stderr: 'waiting\n',
  });
});
