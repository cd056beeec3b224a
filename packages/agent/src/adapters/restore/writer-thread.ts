import { closeSync, constants, fchmodSync, fchownSync, unlinkSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { hash } from 'node:crypto';
import { cString, libc, serveJobs } from '@bakker/linux';
import { decodeOrder, orderBytes, type WriteOrder } from './write-order.ts';
import { writeContent } from './write-content.ts';

/** What is sent to this thread: a batch, and where its orders end. */
export interface Posted {
  readonly batch: number;
  readonly endBytes: number;
}

/** What is answered: the positions of the orders that were not carried out. Nothing of those is left. */
export type Undone = readonly number[];

const shared: unknown = workerData;
if (Array.isArray(shared)) {
  const batches = shared.map(toBatch);
  serveJobs((posted: Posted) => carryOutAll(batches, posted));
}

function carryOutAll(batches: readonly Buffer[], { batch, endBytes }: Posted): Undone {
  const bytes = batches[batch];
  if (bytes === undefined) throw new Error(`there is no batch ${batch}`);
  const undone: number[] = [];
  for (let start = 0; start < endBytes;) {
    const order = decodeOrder(bytes, start);
    if (!carryOut(order)) undone.push(start);
    start += orderBytes(order);
  }
  return undone;
}

/** False if anything at all is not as ordered: the main thread then does it the long way, and finds the reason. */
function carryOut({ folderFd, name, bytes, sha256, firstMode, mode, owner, times }: WriteOrder): boolean {
  if (sha256 !== undefined && !hash('sha256', bytes, 'buffer').equals(sha256)) return false;
  const fd = libc().openat(folderFd, cString(name), NEW_FILE, firstMode);
  if (fd < 0) return false;
  let isDone = false;
  try {
    writeContent(fd, { bytes });
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
    if (mode !== undefined) fchmodSync(fd, mode);
    ownTimes.set(times);
    isDone = libc().futimens(fd, ownTimes) >= 0;
  } catch {
    // tried again on the main thread, which tells why
  } finally {
    closeSync(fd);
  }
  if (!isDone) unlinkSync(Buffer.concat([Buffer.from(`/proc/self/fd/${folderFd}/`), name]));
  return isDone;
}

function toBatch(memory: unknown): Buffer {
  if (!(memory instanceof SharedArrayBuffer)) throw new Error('a batch that is not shared');
  return Buffer.from(memory);
}

const O_CLOEXEC = 0o2000000;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | O_CLOEXEC;
/** libc takes no shared memory. */
const ownTimes = Buffer.alloc(32);
