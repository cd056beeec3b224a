import fs from 'node:fs';
import path from 'node:path';
import { errnoOf, tryLock, trySharedLock } from '@bakker/linux';
import type { ReadingLock } from '../../ports/reading-lock.ts';

/** Beside the run lock, which a restore must not need: a backup may be under way. */
export function openReadingLock(stateDir: string): ReadingLock {
  const file = path.join(stateDir, 'reading');
  const open = () => fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_CREAT, 0o600);
  return {
    tryRead: () => {
      try {
        return held(open(), trySharedLock);
      } catch (error) {
        // a restore on a new machine, or by somebody who may not write here, goes on without
        if (errnoOf(error) === undefined) throw error;
        return NOTHING_HELD;
      }
    },
    tryRemove: () => held(open(), tryLock),
  };
}

function held(descriptor: number, lock: (fd: number) => boolean): Disposable | undefined {
  if (lock(descriptor)) return { [Symbol.dispose]: () => fs.closeSync(descriptor) };
  fs.closeSync(descriptor);
  return undefined;
}

const NOTHING_HELD: Disposable = {
  [Symbol.dispose]: () => undefined,
};
