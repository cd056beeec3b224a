import t from 'tap';
import { StageClock } from '../../src/timings/stage-clock.ts';
import type { Counters } from '../../src/timings/stage-clock.ts';
import { timingLines, timingsOf } from '../../src/timings/timings.ts';

/** Counters that move when they are told to. */
function fakeCounters(): Counters & { pass(ms: { busy?: number; idle?: number; elsewhere?: number }): void } {
  let nowMs = 0;
  let idleMs = 0;
  let mainCpuMs = 0;
  let cpuMs = 0;
  return {
    nowMs: () => nowMs,
    idleMs: () => idleMs,
    mainCpuMs: () => mainCpuMs,
    cpuMs: () => cpuMs,
    pass({ busy = 0, idle = 0, elsewhere = 0 }) {
      nowMs += busy + idle;
      idleMs += idle;
      mainCpuMs += busy;
      cpuMs += busy + elsewhere;
    },
  };
}

t.test('every millisecond is told once: by its phase, and of the main thread by its work', (t) => {
  const counters = fakeCounters();
  const clock = new StageClock(counters);
  counters.pass({ busy: 100 });
  clock.begin('connecting');
  counters.pass({ busy: 10, idle: 200 });
  clock.begin('files');
  clock.doing('scan', () => counters.pass({ busy: 50 }));
  const sealed = clock.doing('send', () => {
    counters.pass({ busy: 5 });
    clock.doing('seal', () => counters.pass({ busy: 30 }));
    clock.doing('hash', () => counters.pass({ busy: 7 }));
    counters.pass({ busy: 5 });
    return 'sealed';
  });
  t.equal(sealed, 'sealed');
  counters.pass({ busy: 20, idle: 40, elsewhere: 500 });
  clock.begin('connecting');
  counters.pass({ idle: 300 });
  clock.begin('files');
  t.throws(
    () =>
      clock.doing('scan', () => {
        counters.pass({ busy: 4 });
        throw new Error('unreadable');
      }),
    { message: 'unreadable' },
  );
  const times = clock.times();
  t.same(times, [
    { phase: 'starting', wallMs: 100, cpuMs: 100, otherThreadsCpuMs: 0, waitingMs: 0, works: [] },
    { phase: 'connecting', wallMs: 510, cpuMs: 10, otherThreadsCpuMs: 0, waitingMs: 500, works: [] },
    {
      phase: 'files',
      wallMs: 161,
      cpuMs: 621,
      otherThreadsCpuMs: 500,
      waitingMs: 40,
      works: [
        { work: 'scan', wallMs: 54 },
        { work: 'seal', wallMs: 30 },
        { work: 'send', wallMs: 10 },
        { work: 'hash', wallMs: 7 },
      ],
    },
  ]);
  t.equal(
    times.reduce((sum, { wallMs }) => sum + wallMs, 0),
    counters.nowMs(),
  );
  const timings = timingsOf(times);
  t.equal(timings.wallSeconds, 0.771);
  t.match(timings.phases[2], { phase: 'files', works: { scan: 0.054, seal: 0.03 } });
  t.same(timingLines(timings), [
    'Where the time went (seconds):',
    '                                          wall      CPU',
    '  starting                                0.10     0.10',
    '    everything else                       0.10',
    '    waiting                               0.00',
    '  connecting                              0.51     0.01',
    '    everything else                       0.01',
    '    waiting                               0.50',
    '  files                                   0.16     0.62',
    '    scanning                              0.05',
    '    hashing                               0.01',
    '    sealing and opening                   0.03',
    '    encrypting and sending                0.01',
    '    everything else                       0.02',
    '    waiting                               0.04',
    '    other threads meanwhile                        0.50',
    '  in all                                  0.77     0.73',
  ]);
  t.end();
});
