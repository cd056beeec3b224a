import { hash } from 'node:crypto';
import { closeSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import { FolderHandle, serveJobs } from '@bakker/linux';
import { statOpen } from './file-stat.ts';
import { openForReading, readContent } from './open-for-reading.ts';

/** Files to be read. */
export interface ReadOrder {
  /** For the contents, one behind the other. Nobody else looks at it until the answer. */
  readonly memory: SharedArrayBuffer;
  /** Relative to the root, one behind the other. */
  readonly paths: Uint8Array;
  /** What the scan saw of each, in the order of `ABOUT`. */
  readonly about: BigInt64Array;
}

export interface ReadAnswer {
  /** 32 bytes a file. */
  readonly sha256: Uint8Array;
  /** Of each file 1 if it was read whole and is as the scan saw it; the others have to be looked at anew. */
  readonly isAsSeen: Uint8Array;
}

/** Where a path ends in `paths`; the rest as in an entry. Of subvolumes, whose inodes an entry names otherwise, nothing is as seen. */
export const ABOUT = { PATH_END: 0, SIZE: 1, MTIME: 2, CTIME: 3, INODE: 4, COUNT: 5 } as const;
export const DIGEST_BYTES = 32;

if (!isMainThread) {
  const root = new FolderHandle((workerData as { rootFd: number }).rootFd);
  serveJobs((order: ReadOrder) => readAll(root, order));
}

function readAll(root: FolderHandle, { memory, paths, about }: ReadOrder): ReadAnswer {
  const count = about.length / ABOUT.COUNT;
  const sha256 = Buffer.alloc(count * DIGEST_BYTES);
  const isAsSeen = new Uint8Array(count);
  let pathStart = 0;
  let contentStart = 0;
  for (let index = 0; index < count; index++) {
    const seen = about.subarray(index * ABOUT.COUNT, (index + 1) * ABOUT.COUNT);
    const pathEnd = Number(seen[ABOUT.PATH_END]);
    const content = Buffer.from(memory, contentStart, Number(seen[ABOUT.SIZE]));
    const path = Buffer.from(paths.buffer, paths.byteOffset + pathStart, pathEnd - pathStart);
    if (isRead(root, path, { seen, content })) {
      isAsSeen[index] = 1;
      // as text: a Buffer for each would take longer to make
      sha256.write(hash('sha256', content, 'binary'), index * DIGEST_BYTES, 'binary');
    }
    pathStart = pathEnd;
    contentStart += content.length;
  }
  return { sha256, isAsSeen };
}

/** False also where it can't be: whoever looks anew sees why. */
function isRead(
  root: FolderHandle,
  path: Buffer,
  { seen, content }: { seen: BigInt64Array; content: Buffer },
): boolean {
  let fd: number;
  try {
    fd = openForReading(path, root);
  } catch {
    return false;
  }
  try {
    return (
      isAsSeenBefore(fd, seen) &&
      readContent(fd, content).length === content.length &&
      isAsSeenBefore(fd, seen)
    );
  } catch {
    return false;
  } finally {
    closeSync(fd);
  }
}

function isAsSeenBefore(fd: number, seen: BigInt64Array): boolean {
  const now = statOpen(fd);
  return (
    typeof now !== 'number' &&
    now.type === 'file' &&
    BigInt(now.sizeBytes) === seen[ABOUT.SIZE] &&
    now.mtimeNs === seen[ABOUT.MTIME] &&
    now.ctimeNs === seen[ABOUT.CTIME] &&
    BigInt.asIntN(64, now.inode) === seen[ABOUT.INODE]
  );
}
