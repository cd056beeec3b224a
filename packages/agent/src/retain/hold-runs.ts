import type { Progress } from '../ports/progress.ts';
import type { ReadingLock } from '../ports/reading-lock.ts';
import { sleep } from '../reconnecting.ts';

const ASK_EVERY_MS = 50;
/** What retention leaves between two runs, so that who waits to read gets its turn. */
export const DOOR_OPEN_MS = 4 * ASK_EVERY_MS;

/**
 * Keeps `bakker retention` on this machine from removing runs until disposed: to be asked for before one is chosen. Waits
 * while a run is being removed.
 */
export async function holdRuns(
  lock: ReadingLock,
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<Disposable> {
  for (let isTold = false; ; isTold = true) {
    const held = lock.tryRead();
    if (held) return held;
    if (!isTold) progress.stage('waiting until bakker retention has removed a run');
    await sleep(ASK_EVERY_MS, signal);
  }
}
