import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const PATIENCE_MS = 5_000;

/** A control group: counts the processor time of all that is started in it, also of what nobody waited for. */
export interface CpuGroup extends Disposable {
  /** Where a process writes its id to get in; its children are in from their start. */
  readonly joinFile: string;
  /** User and system time so far. */
  usedSeconds(): number;
  processCount(): number;
  join(pid: number): void;
}

/** Undefined where this machine lets nobody make one (a container, mostly): then processor time is not measured. */
export function makeCpuGroup(name: string): CpuGroup | undefined {
  const folder = `${ownFolder() ?? ''}/bakker-bench-${process.pid}-${name}`;
  try {
    mkdirSync(folder);
  } catch {
    return undefined;
  }
  const joinFile = `${folder}/cgroup.procs`;
  const group: CpuGroup = {
    joinFile,
    usedSeconds: () =>
      Number(/^usage_usec (\d+)$/m.exec(readFileSync(`${folder}/cpu.stat`, 'latin1'))?.[1]) / 1e6,
    processCount: () => readFileSync(joinFile, 'latin1').split('\n').length - 1,
    join: (pid) => writeFileSync(joinFile, String(pid)),
    [Symbol.dispose]() {
      try {
        rmdirSync(folder);
      } catch {
        // something in it still ends; an empty group costs nothing, and is gone at the next boot
      }
    },
  };
  if (existsSync(`${folder}/cpu.stat`)) return group;
  group[Symbol.dispose]();
  return undefined;
}

/** Waits until sessions have ended that were still closing when their client had gone. */
export async function untilAtMost(group: CpuGroup, processCount: number): Promise<void> {
  for (let waitedMs = 0; group.processCount() > processCount && waitedMs < PATIENCE_MS; waitedMs += 5) {
    await delay(5);
  }
}

/** Where this process is in the second version of control groups, which is the only one that all systems have. */
function ownFolder(): string | undefined {
  const mounted = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'latin1'))?.[1];
  const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1];
  return mounted === undefined || path === undefined ? undefined : `${mounted}${path}`;
}
