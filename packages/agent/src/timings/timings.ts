import type { Phase, PhaseTimes, Work } from './stage-clock.ts';

/** What `--json` prints under `timings`. */
export interface Timings {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly phases: readonly {
    readonly phase: Phase;
    readonly wallSeconds: number;
    readonly cpuSeconds: number;
    readonly otherThreadsCpuSeconds: number;
    readonly waitingSeconds: number;
    readonly works: Readonly<Partial<Record<Work, number>>>;
  }[];
}

/** Pure. */
export function timingsOf(times: readonly PhaseTimes[]): Timings {
  const total = (of: (phase: PhaseTimes) => number): number =>
    seconds(times.reduce((sum, phase) => sum + of(phase), 0));
  return {
    wallSeconds: total(({ wallMs }) => wallMs),
    cpuSeconds: total(({ cpuMs }) => cpuMs),
    phases: times.map(({ phase, wallMs, cpuMs, otherThreadsCpuMs, waitingMs, works }) => ({
      phase,
      wallSeconds: seconds(wallMs),
      cpuSeconds: seconds(cpuMs),
      otherThreadsCpuSeconds: seconds(otherThreadsCpuMs),
      waitingSeconds: seconds(waitingMs),
      works: Object.fromEntries(works.map((one) => [one.work, seconds(one.wallMs)])),
    })),
  };
}

/** The same as lines for people, the main thread's works only in phases that lasted. Pure. */
export function timingLines({ wallSeconds, cpuSeconds, phases }: Timings): string[] {
  const lines = ['Where the time went (seconds):', row('', 'wall', 'CPU')];
  for (const { phase, works, waitingSeconds, ...times } of phases) {
    lines.push(row(PHASES[phase], text(times.wallSeconds), text(times.cpuSeconds)));
    if (times.wallSeconds < WORTH_A_LOOK_S) continue;
    let restSeconds = times.wallSeconds - waitingSeconds;
    for (const [work, words] of Object.entries(WORKS)) {
      const took = works[work as Work];
      if (took === undefined) continue;
      restSeconds -= took;
      if (took >= LEAST_SHOWN_S) lines.push(row(`  ${words}`, text(took)));
    }
    lines.push(row('  everything else', text(Math.max(0, restSeconds))));
    lines.push(row('  waiting', text(waitingSeconds)));
    if (times.otherThreadsCpuSeconds >= LEAST_SHOWN_S)
      lines.push(row('  other threads meanwhile', '', text(times.otherThreadsCpuSeconds)));
  }
  lines.push(row('in all', text(wallSeconds), text(cpuSeconds)));
  return lines;
}

const PHASES: Readonly<Record<Phase, string>> = {
  starting: 'starting',
  connecting: 'connecting',
  preparing: 'preparing',
  freezing: 'services and snapshots',
  files: 'files',
  flushing: 'bringing it to the disk',
  publishing: 'publishing',
  'cleaning-up': 'cleaning up',
};
const WORKS: Readonly<Record<Work, string>> = {
  scan: 'scanning',
  compare: 'comparing',
  read: 'reading and hashing small files',
  hash: 'hashing',
  seal: 'sealing and opening',
  manifest: 'manifest',
  send: 'encrypting and sending',
  receive: 'receiving and decrypting',
  write: 'writing files',
};
const WORTH_A_LOOK_S = 0.1;
const LEAST_SHOWN_S = 0.005;

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}

function text(value: number): string {
  return value.toFixed(2);
}

function row(name: string, wall: string, cpu = ''): string {
  return `  ${name.padEnd(36)}${wall.padStart(8)}${cpu.padStart(9)}`.trimEnd();
}
