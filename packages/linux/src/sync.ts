import { setTimeout as delay } from 'node:timers/promises';
import { fail, libc } from './libc.ts';

/** Writes all of the file system that an open file is on to its disk, and waits for it. @throws LibcError `EIO`, `ENOSPC` */
export function syncFilesystem(fd: number): void {
  if (libc().syncfs(fd) < 0) fail('syncfs');
}

/** The same on another thread, to have it done early. Resolves when it ended, however that was: who needs to know syncs again. */
export function syncFilesystemLater(fd: number): Promise<void> {
  return new Promise((resolve) => {
    libc().syncfsLater(fd, () => resolve());
  });
}

/**
 * Writes everything that this machine has not written yet to its disks, on another thread.
 * @returns false if that has not ended by then: a share whose server is gone never does
 */
export async function syncEverything(timeoutMs: number): Promise<boolean> {
  const waiting = new AbortController();
  const synced = new Promise<boolean>((resolve) => {
    libc().syncLater(() => resolve(true));
  });
  const tooLate = delay(timeoutMs, false, { signal: waiting.signal }).catch(() => false);
  try {
    return await Promise.race([synced, tooLate]);
  } finally {
    waiting.abort();
  }
}
