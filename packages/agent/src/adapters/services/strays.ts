import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The variable that tells which processes an entering started, to a bakker that did not start them. */
const MARK = 'BAKKER_STEP';
const LOOK_AGAIN_MS = 20;
/** Longer than this nothing takes to die that is not in the midst of a system call. */
const DYING_MS = 1_000;

/** Marks the processes of one entering; kept in its undo step. */
export function newMark(): string {
  return randomBytes(12).toString('hex');
}

export function markEnvironment(mark: string): Readonly<Record<string, string>> {
  return { [MARK]: mark };
}

/**
 * Kills every process that an entering started and that still runs, and waits until they are gone: one that went on by
 * itself would enter the service after it was left. One that a disk or a share keeps in a system call is waited for one
 * second: killed, it does nothing more when that call ends, which may take days.
 *
 * @throws the signal's reason if they do not go
 */
export async function endStrays(mark: string, { signal }: { signal: AbortSignal }): Promise<void> {
  const killedAtMs = new Map<number, number>();
  const isDoomed = (pid: number): boolean => performance.now() - (killedAtMs.get(pid) ?? Infinity) > DYING_MS;
  for (;;) {
    const strays = findMarked(mark).filter((pid) => !isDoomed(pid));
    if (strays.length === 0) return;
    for (const pid of strays) if (kill(pid) && !killedAtMs.has(pid)) killedAtMs.set(pid, performance.now());
    signal.throwIfAborted();
    await sleep(LOOK_AGAIN_MS);
  }
}

/** Zombies have no environment any more, and count as gone. */
function findMarked(mark: string): number[] {
  const wanted = Buffer.from(`\0${MARK}=${mark}\0`);
  const pids: number[] = [];
  for (const name of fs.readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name) || Number(name) === process.pid) continue;
    const environment = readEnvironment(name);
    if (environment?.includes(wanted) === true) pids.push(Number(name));
  }
  return pids;
}

function readEnvironment(pid: string): Buffer | undefined {
  try {
    return Buffer.concat([Buffer.of(0), fs.readFileSync(`/proc/${pid}/environ`), Buffer.of(0)]);
  } catch {
    return undefined; // gone, or not ours to look at, and so not ours
  }
}

/** False for what is gone meanwhile, or may not be killed. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}
