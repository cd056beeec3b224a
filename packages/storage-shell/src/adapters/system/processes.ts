import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StorageError } from '../../errors.ts';

const PATIENCE_MS = 10_000;

/** Whether something runs with the user id that `endProcessesOf` would end. */
export async function hasProcesses(uid: number): Promise<boolean> {
  return isSpared(uid) ? false : (await processesOf(uid)).length > 0;
}

/** Kills what runs with the user id (real or effective) and waits. @throws StorageError FAILED if something does not end */
export async function endProcessesOf(uid: number): Promise<void> {
  if (isSpared(uid)) return;
  for (const began = performance.now(); ; await delay(20)) {
    const pids = await processesOf(uid);
    if (pids.length === 0) return;
    if (performance.now() - began > PATIENCE_MS) {
      throw new StorageError('FAILED', `processes of the user ${uid} do not end: ${pids.join(', ')}`, {
        hint: 'they wait for a disk that does not answer; end them, then run this again',
      });
    }
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
    }
  }
}

/** Sends SIGHUP to the process of a pid file if its program is the one meant: pids are used again. */
export async function hangUp(pidFile: string, program: string): Promise<boolean> {
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).trim());
  if (!Number.isInteger(pid) || pid <= 1) return false;
  const target = await readlink(`/proc/${pid}/exe`).catch(() => '');
  // After an upgrade the running program's file is gone.
  if (basename(target.replace(/ \(deleted\)$/, '')) !== program) return false;
  process.kill(pid, 'SIGHUP');
  return true;
}

/** Everything of root's, or of this process's own user, is never meant. */
function isSpared(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/** Without those of containers, where the same number is another user: no session of ours begins in one. */
async function processesOf(uid: number): Promise<number[]> {
  const found: number[] = [];
  const own = await readlink('/proc/self/ns/pid').catch(() => undefined);
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/status`, 'latin1').catch(() => '');
    const ids = /^Uid:\s+(\d+)\s+(\d+)/m.exec(text);
    const isGone = /^State:\s+[ZX]/m.test(text);
    if (isGone || ids === null || (Number(ids[1]) !== uid && Number(ids[2]) !== uid)) continue;
    const space = await readlink(`/proc/${name}/ns/pid`).catch(() => undefined);
    if (space === undefined || own === undefined || space === own) found.push(Number(name));
  }
  return found;
}
