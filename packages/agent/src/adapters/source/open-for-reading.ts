import { constants, readSync } from 'node:fs';
import { errnoOf, hasCode, LibcError, openBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';

/**
 * Never through a symlink, never waiting for a fifo that took the file's place, without touching its access time if allowed.
 *
 * @throws errno error; ESTALE if it is no file any more; EAGAIN if somebody has a lease on it that he does not give back
 */
export function openForReading(path: Buffer, root: FolderHandle): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return whenGivenBack(() => {
      try {
        return openBeneath(root, path, { flags: flags | constants.O_NOATIME });
      } catch (error) {
        if (!hasCode(error, 'EPERM')) throw error; // only the owner may leave the access time alone
        return openBeneath(root, path, { flags });
      }
    });
  } catch (error) {
    if (hasCode(error, 'ELOOP', 'ENXIO', 'ENOTDIR')) throw new LibcError('open', ESTALE, path);
    throw error;
  }
}

/**
 * Opens what somebody may have a lease on (fcntl(2)), as an NFS server has on what a client writes. The first try asks for it; one that
 * does not wait for a fifo does not wait for that either, so it is tried again for some seconds. All files together wait so long that
 * nobody holds up a run by leases that he keeps.
 */
function whenGivenBack(open: () => number): number {
  for (let waitMs = 5; ; waitMs *= 2) {
    try {
      return open();
    } catch (error) {
      const mayWait = waitMs <= LONGEST_WAIT_MS && waitMs <= leaseWaitLeftMs;
      if (!hasCode(error, 'EAGAIN') || !mayWait) throw error;
    }
    leaseWaitLeftMs -= waitMs;
    Atomics.wait(NEVER, 0, 0, waitMs);
  }
}

/** Of about two and a half seconds for one file. */
const LONGEST_WAIT_MS = 1280;
/** Of this thread, for all files. */
let leaseWaitLeftMs = 20_000;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** Fills `content`, or its start: what was appended since is the next run's. */
export function readContent(fd: number, content: Buffer): Buffer {
  const sizeBytes = content.length;
  let filledBytes = 0;
  while (filledBytes < sizeBytes) {
    const bytesRead = named(() => readSync(fd, content, filledBytes, sizeBytes - filledBytes, filledBytes));
    if (bytesRead === 0) break;
    filledBytes += bytesRead;
  }
  return content.subarray(0, filledBytes);
}

/** Runs a read of Node's, and gives its error a proper name. */
function named<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    return rethrow(error);
  }
}

/** An error of Node's with a proper name. */
export function rethrow(error: unknown): never {
  if (error instanceof Error && 'code' in error && error.code !== errnoOf(error) && 'errno' in error) {
    throw new LibcError('read', Math.abs(Number(error.errno)));
  }
  throw error;
}

const ESTALE = 116;
