import { parentPort, workerData } from 'node:worker_threads';
import { FolderHandle, LibcError } from '@bakker/linux';
import {
  MAX_FULL_FILES,
  SHARED,
  type FolderJob,
  type ThreadAnswer,
  type ThreadFailure,
  type ThreadStart,
} from './folder-job.ts';
import { copyOf, FolderWalk } from './folder-walk.ts';

/** The program of a thread that clones folders. */
const port = parentPort;
if (port === null) throw new Error('tree-thread.ts is a program for a thread');
const { parentFd, runFd, hurtInodes, measures, emptyFolderBytes, shared } = workerData as ThreadStart;
const post = (answer: ThreadAnswer): void => port.postMessage(answer);

const walk = new FolderWalk({
  parent: new FolderHandle(parentFd),
  run: new FolderHandle(runFd),
  hurtInodes,
  measures,
  emptyFolderBytes,
  isStopped: () => Atomics.load(shared, SHARED.STOP) !== 0,
  claimWanted() {
    const wanted = Atomics.load(shared, SHARED.WANTED);
    return wanted > 0 && Atomics.compareExchange(shared, SHARED.WANTED, wanted, wanted - 1) === wanted;
  },
  share: (job) => post({ kind: 'share', job }),
  full(group, files) {
    Atomics.add(shared, SHARED.FULL, files.length);
    post({ kind: 'full', group, files });
    waitForCopies();
  },
  grown: (folder) => post({ kind: 'grown', folder }),
  made: (made) => post({ kind: 'made', made }),
});

port.on('message', (jobs: readonly FolderJob[] | 'end') => {
  if (jobs === 'end') {
    port.close();
    return;
  }
  for (const job of jobs) {
    const { group } = job;
    try {
      post({ kind: 'done', group, totals: walk.do(job) });
    } catch (error) {
      post({ kind: 'failed', group, failure: asFailure(error) });
    }
  }
  post({ kind: 'idle' });
});

/** Copying takes longer than finding what is to be copied, of which there may be millions. */
function waitForCopies(): void {
  while (Atomics.load(shared, SHARED.STOP) === 0) {
    const waiting = Atomics.load(shared, SHARED.FULL);
    if (waiting < MAX_FULL_FILES) return;
    Atomics.wait(shared, SHARED.FULL, waiting);
  }
}

function asFailure(error: unknown): ThreadFailure {
  if (error instanceof LibcError) {
    return { call: error.syscall, errno: -error.errno, folder: copyOf(walk.place) };
  }
  return { message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
