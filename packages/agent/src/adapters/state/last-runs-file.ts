import path from 'node:path';
import type { LastRuns } from '../../ports/state-folder.ts';
import { decodeLastRuns } from './last-runs-text.ts';
import { readIfThere } from './read-if-there.ts';
import { explainState } from './state-failures.ts';

/** In the state folder: what is known of the last runs. */
export const LAST_RUNS = 'last.json';

/**
 * What a state folder knows of the last runs. The folder need not be there, nor be writable: of a machine whose disks have
 * become read-only, this is what its monitoring has to learn.
 *
 * @throws AgentError STATE_UNUSABLE
 */
export function readLastRuns(stateDir: string): LastRuns {
  try {
    return decodeLastRuns(readIfThere(path.join(stateDir, LAST_RUNS)));
  } catch (error) {
    throw explainState(error, stateDir, 'read');
  }
}
