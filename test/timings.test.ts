import t from 'tap';
import type { Test } from 'tap';
import { writeSampleTree } from './harness/sample-tree.ts';
import { makeWorld } from './harness/world.ts';

interface Timings {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly phases: readonly {
    readonly phase: string;
    readonly wallSeconds: number;
    readonly cpuSeconds: number;
    readonly otherThreadsCpuSeconds: number;
    readonly waitingSeconds: number;
    readonly works: Readonly<Record<string, number>>;
  }[];
}

function check(t: Test, { wallSeconds, phases }: Timings, lastedSeconds: number): void {
  const sum = phases.reduce((seconds, phase) => seconds + phase.wallSeconds, 0);
  t.ok(Math.abs(sum - wallSeconds) < 0.01 * phases.length, `${sum} of ${wallSeconds} s are told`);
  t.ok(wallSeconds <= lastedSeconds, `${wallSeconds} s of ${lastedSeconds} s`);
  for (const { wallSeconds: phaseSeconds, waitingSeconds, works } of phases) {
    const busy = Object.values(works).reduce((seconds, work) => seconds + work, 0);
    t.ok(busy + waitingSeconds <= phaseSeconds + 0.02, 'works and waits fit into their phase');
  }
}

t.test(
  '--timings tells where the time of a run and of a restore went, and only if it is asked',
  async (t) => {
    await using world = await makeWorld();
    writeSampleTree(world.source, { files: 400, maxBytes: 60_000 });
    const timed = async (args: readonly string[]): Promise<{ timings?: Timings }> => {
      const startMs = performance.now();
      const told = (await world.expect([...args, '--json'])).json<{ timings?: Timings }>();
      const lastedSeconds = (performance.now() - startMs) / 1000;
      if (told.timings) check(t, told.timings, lastedSeconds);
      return told;
    };
    const { timings } = await timed(['backup', '--timings']);
    const phases = ['starting', 'connecting', 'preparing', 'files', 'publishing', 'cleaning-up'];
    t.same(
      timings?.phases.map(({ phase }) => phase),
      phases,
    );
    const files = timings?.phases.find(({ phase }) => phase === 'files');
    for (const work of ['scan', 'compare', 'read', 'send', 'receive', 'manifest'])
      t.ok((files?.works[work] ?? -1) >= 0, `${work} is told`);
    t.ok((timings?.cpuSeconds ?? 0) > 0);
    const back = `${world.bakker.folder}/back`;
    const restore = ['restore', '--from', 'latest', '--to'];
    const restored = (await timed([...restore, back, '--timings'])).timings;
    t.same(
      restored?.phases.map(({ phase }) => phase),
      ['starting', 'connecting', 'preparing', 'files', 'flushing'],
    );
    const made = restored?.phases.find(({ phase }) => phase === 'files');
    for (const work of ['receive', 'hash', 'write']) t.ok((made?.works[work] ?? -1) >= 0, `${work} is told`);
    t.equal((await timed([...restore, `${back}2`])).timings, undefined);
    const { stdout } = await world.expect([...restore, `${back}3`, '--timings']);
    t.match(stdout, /^Where the time went.*\n(.*\n)*? {2}files +\d+\.\d\d +\d+\.\d\d\n/m);
  },
);
