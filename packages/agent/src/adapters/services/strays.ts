import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The variable that tells which processes an entering started, to a bakker that did not start them. */
const MARK = 'BAKKER_STEP';
const LOOK_AGAIN_MS = 20;

/** Marks the processes of one entering; kept in its undo step. */
export function newMark(): string {
  return randomBytes(12).toString('hex');
}

export function markEnvironment(mark: string): Readonly<Record<string, string>> {
  return { [MARK]: mark };
}

/**
 * Kills every process that an entering started and that still runs, and waits until they are gone: one that went on by
 * itself would enter the service after it was left.
 *
 * @throws the signal's reason if they do not go
 */
export async function endStrays(mark: string, { signal }: { signal: AbortSignal }): Promise<void> {
  for (;;) {
    const strays = findMarked(mark);
    if (strays.length === 0) return;
    for (const pid of strays) kill(pid);
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

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
}
