import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, tryLock } from '@bakker/linux';

const LOOK_AGAIN_MS = 50;

/**
 * Makes and locks a file that every command of this freezing inherits: the lock is gone when the last of them is, bakker
 * itself among them. A command that outlived a killed bakker may still be about to make its snapshot.
 *
 * @returns a descriptor that the caller closes
 */
export function openBusy(file: string): number {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  if (!tryLock(fd)) throw new Error(`${file} is new and locked`);
  return fd;
}

/** Waits until no command of a freezing runs any more. @throws the signal's reason */
export async function untilIdle(file: string, signal: AbortSignal): Promise<void> {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDWR);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return; // the machine was started anew, or all is removed
    throw error;
  }
  try {
    while (!tryLock(fd)) await delay(LOOK_AGAIN_MS, undefined, { signal });
  } finally {
    closeSync(fd);
  }
}
