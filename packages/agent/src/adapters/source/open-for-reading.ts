import { constants, readSync } from 'node:fs';
import { errnoOf, hasCode, LibcError, openBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';

/**
 * Never through a symlink, never waiting for a fifo that took the file's place, without touching its access time if allowed.
 *
 * @throws errno error; ESTALE if it is no file any more
 */
export function openForReading(path: Buffer, root: FolderHandle): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    try {
      return openBeneath(root, path, { flags: flags | constants.O_NOATIME });
    } catch (error) {
      if (!hasCode(error, 'EPERM')) throw error; // only the owner may leave the access time alone
      return openBeneath(root, path, { flags });
    }
  } catch (error) {
    if (hasCode(error, 'ELOOP', 'ENXIO', 'ENOTDIR')) throw new LibcError('open', ESTALE, path);
    throw error;
  }
}

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
