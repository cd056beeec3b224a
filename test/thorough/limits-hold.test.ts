import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { RunningBakker } from '../harness/bakker.ts';
import { compareTrees } from '../harness/compare-trees.ts';
import { writeSampleTree } from '../harness/sample-tree.ts';
import { makeWorld, type World } from '../harness/world.ts';

const RATE = 2 * 1024 * 1024;

/** A slow machine only makes it longer: what is shown is that it can't be shorter. */
async function secondsOf(world: World, args: readonly string[]): Promise<number> {
  const startMs = performance.now();
  await world.expect(args);
  return (performance.now() - startMs) / 1000;
}

for (const kind of ['plain', 'openssh'] as const) {
  t.test(`a run and a restore take no more of the line than they may (${kind})`, async (t) => {
    await using world = await makeWorld({ kind, proxied: true });
    const totalBytes = writeSampleTree(world.source, { files: 90, minBytes: 10_000, maxBytes: 200_000 });
    const leastSeconds = totalBytes / RATE;
    t.ok(leastSeconds > 2, 'longer than all else takes');
    const sending = await secondsOf(world, ['backup', '--limit-upload', '2M']);
    t.ok(sending > 0.8 * leastSeconds, `${sending} s for ${totalBytes} bytes up`);
    await world.configure({ 'limit-download': '2M' });
    const target = `${world.bakker.folder}/back`;
    const fetching = await secondsOf(world, ['restore', '--from', 'latest', '--to', target]);
    t.ok(fetching > 0.8 * leastSeconds, `${fetching} s for ${totalBytes} bytes down`);
    t.same(await compareTrees(world.source, `${target}${world.source}`), []);
    // the configuration alone would let it take a minute and more
    await world.configure({ 'limit-download': '64K' });
    const wide = ['restore', '--from', 'latest', '--to', `${target}2`, '--limit-download', '1G'];
    const quick = await secondsOf(world, wide);
    t.ok(quick < totalBytes / 65_536 / 2, `${quick} s: the flag wins over the configuration`);
  });
}

interface Thread {
  readonly ioPriority: string;
  readonly nice: number;
  readonly processors: string | undefined;
}

function threadsOf({ process: { pid } }: RunningBakker): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const read = (name: string): string => readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'latin1');
    return {
      ioPriority: execFileSync('ionice', ['-p', thread], { encoding: 'utf8' }).trim(),
      nice: Number(read('stat').split(') ').at(-1)?.split(' ')[16]),
      processors: /^Cpus_allowed_list:\s*(.+)$/m.exec(read('status'))?.[1],
    };
  });
}

/** Looks at a command that is slow enough to be looked at, and ends it. */
async function whileSending<Seen>(
  world: World,
  args: readonly string[],
  look: (running: RunningBakker) => Promise<Seen>,
): Promise<Seen> {
  world.proxy?.reset();
  const running = world.bakker.start([...args, '--limit-upload', '64K', '--limit-download', '64K']);
  const movedBytes = (): number => (world.proxy?.sentBytes() ?? 0) + (world.proxy?.receivedBytes() ?? 0);
  while (running.process.exitCode === null && movedBytes() < 150_000) await delay(5);
  try {
    return await look(running);
  } finally {
    running.process.kill('SIGTERM');
    await running.finished;
  }
}

t.test('all threads of a run and of a restore step back as they are told', async (t) => {
  await using world = await makeWorld({ proxied: true, config: { 'io-priority': 'low', nice: 3 } });
  writeSampleTree(world.source, { files: 20, minBytes: 100_000, maxBytes: 400_000 });
  const expectAll = (threads: readonly Thread[], wanted: Partial<Thread>): void => {
    t.ok(threads.length > 2, `${threads.length} threads`);
    for (const thread of threads) t.match(thread, wanted);
  };
  const seen = async (args: readonly string[]): Promise<Thread[]> =>
    whileSending(world, args, async (running) => threadsOf(running));
  // nothing is raised: what this test was started with holds, if it is less
  const isIdle = execFileSync('ionice', { encoding: 'utf8' }).trim() === 'idle';
  const low = isIdle ? 'idle' : 'best-effort: prio 7';
  expectAll(await seen(['backup']), { ioPriority: low, nice: Math.max(3, getPriority()) });
  await world.backup();
  const args = ['restore', '--from', 'latest', '--to', `${world.bakker.folder}/back`];
  const flags = ['--io-priority', 'idle', '--nice', '7', '--cores', '1'];
  const threads = await seen([...args, ...flags]);
  expectAll(threads, { ioPriority: 'idle', nice: Math.max(7, getPriority()) });
  const [{ processors } = { processors: undefined }] = threads;
  t.match(processors, /^\d+$/, 'one processor');
  expectAll(threads, { processors });
});

t.test('no more is read ahead of a slow line than the memory has room for', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const files = 150;
  for (let index = 0; index < files; index++)
    writeFileSync(`${world.source}/file ${index}`, Buffer.alloc(250_000, `${index} `));
  const all = files * 250_000;
  /** Until all is read, or nothing more for a while. */
  const readAhead = (memory: string, patience: number): Promise<number> =>
    whileSending(world, ['backup', '--memory', memory], async ({ process: { pid } }) => {
      const readBytes = (): number =>
        Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
      let most = readBytes();
      for (let quiet = 0; quiet < patience && most <= all; quiet++) {
        await delay(100);
        const now = readBytes();
        if (now > most) quiet = 0;
        most = Math.max(most, now);
      }
      return most;
    });
  const [little, much] = [await readAhead('16M', 10), await readAhead('1G', 600)];
  t.ok(much > all, `${much} bytes: all of it, where there is room`);
  t.ok(much - little > 20e6, `${little} bytes read with 16M, ${much} with 1G`);
  const wrong = await world.expect(['backup', '--memory', '1M'], 2);
  t.match(wrong.stderr, '--memory must be');
});
