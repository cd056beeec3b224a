import { workerData } from 'node:worker_threads';
import { FolderHandle } from '@bakker/linux';
import { REMOVAL, removePieces, type RemovalStart } from './remove-pieces.ts';

/** The program of the second thread that removes a tree. */
const start = workerData as RemovalStart;
const stopped = new AbortController();
const watch = setInterval(() => {
  if (Atomics.load(start.shared, REMOVAL.STOP) !== 0) stopped.abort();
}, 50);
try {
  await removePieces(new FolderHandle(start.rootFd), start, stopped.signal);
} catch (error) {
  if (!stopped.signal.aborted) throw error; // the other one says why
} finally {
  clearInterval(watch);
}
