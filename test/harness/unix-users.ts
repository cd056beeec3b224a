import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, runTool } from './processes.ts';

const MARK = 'bakker-test-of-process';

/** Makes a Unix user that can log in with a key only. Its name must be new. */
export async function addUser(user: { name: string; home: string }): Promise<{ uid: number; gid: number }> {
  // A password of `*` matches nothing, yet is not "locked", which sshd would refuse.
  const args = ['-M', '-N', '-g', 'nogroup', '-d', user.home, '-s', '/bin/sh', '-p', '*'];
  await withRetry(() => runTool('useradd', [...args, '-c', `${MARK}-${process.pid}`, user.name]));
  const entry = (await passwd()).find((line) => line.name === user.name);
  if (entry === undefined) throw new Error(`useradd made no ${user.name}`);
  return { uid: entry.uid, gid: entry.gid };
}

/** Removes a user made by `addUser`, whether or not it still has processes. */
export async function removeUser(name: string): Promise<void> {
  await withRetry(() => runTool('userdel', ['-f', name]));
}

export function removeUserSync(name: string): void {
  spawnSync('userdel', ['-f', name], { stdio: 'ignore' });
}

/** Removes users whose process was killed before it could. */
export async function reapLeftUsers(): Promise<void> {
  if (process.getuid?.() !== 0) return;
  for (const { name, comment } of await passwd()) {
    if (!comment.startsWith(`${MARK}-`) || (await isAlive(Number(comment.slice(MARK.length + 1))))) continue;
    spawnSync('userdel', ['-f', name], { stdio: 'ignore' });
  }
}

/** /etc/passwd is locked while another process changes it. */
async function withRetry(change: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await change();
      return;
    } catch (error) {
      if (attempt === 20 || !String(error).includes('lock')) throw error;
      await delay(50 * attempt);
    }
  }
}

async function passwd(): Promise<{ name: string; uid: number; gid: number; comment: string }[]> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [name = '', , uid, gid, comment = ''] = line.split(':');
    return { name, uid: Number(uid), gid: Number(gid), comment };
  });
}
