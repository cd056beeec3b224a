import type { SealingThreads } from '../../ports/sealing-threads.ts';
import { ThreadOpening } from './thread-opening.ts';
import { ThreadSealing } from './thread-sealing.ts';

/** A thread for each that seals or opens, started when there is enough for it to do. Disposing ends those that open. */
export function openSealingThreads(): SealingThreads & AsyncDisposable {
  const openings = new AsyncDisposableStack();
  return {
    sealing: (runKey, options) => new ThreadSealing(runKey, options),
    opening: (keyring) => openings.use(new ThreadOpening(keyring)),
    [Symbol.asyncDispose]: () => openings.disposeAsync(),
  };
}
