import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { runTool } from '../test/harness/processes.ts';
import { untilAtMost, type CpuGroup } from './cpu-group.ts';

export interface Measured {
  readonly seconds: number;
  /** Until a `sync` behind it had ended: tools differ in what they leave to the kernel. */
  readonly onDiskSeconds: number;
  /** Largest resident set of the started process itself, from /proc. */
  readonly peakBytes: number;
  /** Processor time of both ends, user and system, with all that they started; undefined where it can't be counted. */
  readonly cpuSeconds: number | undefined;
}

export interface Invocation {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** What processor time is counted of. */
export interface BothEnds {
  readonly client: CpuGroup;
  readonly storage: CpuGroup;
}

/** Runs a command to its end, after everything written before has reached the disk. @throws with what it printed if it fails */
export async function measure(
  { argv, env = {}, cwd }: Invocation,
  ends: BothEnds | undefined,
): Promise<Measured> {
  await runTool('sync', []);
  const idle = ends?.storage.processCount() ?? 0;
  const usedBefore = usedSeconds(ends);
  const startedMs = performance.now();
  const [program = '', ...args] = ends === undefined ? argv : insideGroup(ends.client, argv);
  const child = spawn(program, args, {
    env: { ...process.env, LC_ALL: 'C', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  let said = '';
  const listen = (bytes: Buffer): void => {
    said = (said + bytes.toString()).slice(-4000);
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  let peakBytes = 0;
  const poll = setInterval(() => {
    peakBytes = Math.max(peakBytes, readPeakBytes(child.pid));
  }, 20);
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    const seconds = (performance.now() - startedMs) / 1000;
    if (status !== 0) throw new Error(`${argv.join(' ')} ended with status ${String(status)}\n${said}`);
    await runTool('sync', []);
    const onDiskSeconds = (performance.now() - startedMs) / 1000;
    if (ends !== undefined) await untilAtMost(ends.storage, idle);
    return { seconds, onDiskSeconds, peakBytes, cpuSeconds: ends && usedSeconds(ends) - usedBefore };
  } finally {
    clearInterval(poll);
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

function insideGroup({ joinFile }: CpuGroup, argv: readonly string[]): string[] {
  return ['sh', '-c', 'echo $$ > "$0" && exec "$@"', joinFile, ...argv];
}

function usedSeconds(ends: BothEnds | undefined): number {
  return ends === undefined ? 0 : ends.client.usedSeconds() + ends.storage.usedSeconds();
}

/** The kernel keeps the peak itself, so that looking seldom misses only growth at the very end. */
function readPeakBytes(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
