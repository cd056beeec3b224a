import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { LibcError, fail, libc } from './libc.ts';

/**
 * Writes all of the file system that an open file is on to its disk, and waits for it. What failed since the file was opened is
 * told once for each opening, whoever asked for the writing: see FilesystemFlush.
 *
 * @throws LibcError `EIO`, `ENOSPC`
 */
export function syncFilesystem(fd: number): void {
  if (libc().syncfs(fd) < 0) fail('syncfs');
}

/** The same on another thread, which tells as much: a failure that is passed over here is told to nobody. @throws as `syncFilesystem` */
export function syncFilesystemLater(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    libc().syncfsLater(fd, (errno) => (errno === 0 ? resolve() : reject(new LibcError('syncfs', errno))));
  });
}

/**
 * Writes everything that this machine has not written yet to its disks, by a process of its own: one that waits for a share
 * whose server is gone can't even be killed, and a thread that did so would keep this process from ending.
 *
 * @returns false if that has not ended by then, or could not be done
 */
export async function syncEverything(timeoutMs: number): Promise<boolean> {
  const sync = spawn('sync', { env: { PATH: process.env['PATH'] }, stdio: 'ignore', detached: true });
  const waiting = new AbortController();
  const ended = new Promise<boolean>((resolve) => {
    sync.on('error', () => resolve(false));
    sync.on('close', (status) => resolve(status === 0));
  });
  const tooLate = delay(timeoutMs, false, { signal: waiting.signal }).catch(() => false);
  try {
    return await Promise.race([ended, tooLate]);
  } finally {
    waiting.abort();
    sync.unref();
  }
}
