import { DIRENT, LibcError, STATX, statx, statxOpen, told } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';

/** What an inode takes, and how many names share it. */
export interface InodeUse {
  readonly inode: number;
  readonly links: number;
  /** Allocated, as `du` counts. */
  readonly bytes: number;
  /** Its length; undefined for what is no regular file. */
  readonly sizeBytes: number | undefined;
}

/**
 * One call, without a path for the kernel to walk.
 *
 * @param cName - one component with a NUL behind it; a NUL alone is the folder itself
 * @returns undefined if nothing is there (any more)
 * @throws LibcError
 */
export function useOf(folder: FolderHandle, cName: Buffer): InodeUse | undefined {
  const errno = cName.length === 1 ? statxOpen(folder.fd, WANTED) : statx(folder.fd, cName, WANTED);
  if (errno === ENOENT) return undefined;
  if (errno !== 0) throw new LibcError('statx', errno, cName.subarray(0, -1));
  return {
    links: told.links,
    inode: told.inode,
    bytes: told.allocatedBytes,
    sizeBytes: told.type === DIRENT.FILE ? told.sizeBytes : undefined,
  };
}

/**
 * What is given back for an inode that went: never more than was charged, which is whole blocks for all of a file's bytes.
 * What a file system holds ready behind its end, or needs to say where the rest is, may have come later.
 */
export function releasedBytes({ bytes, sizeBytes }: Pick<InodeUse, 'bytes' | 'sizeBytes'>): number {
  return sizeBytes === undefined ? bytes : Math.min(bytes, inBlocks(sizeBytes));
}

/** Whole blocks for so many bytes. */
export function inBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** The folder itself, for `useOf`. */
export const ITSELF = Buffer.from([0]);

const ENOENT = 2;
/** What file systems give space in. */
export const BLOCK_BYTES = 4096;
const WANTED = STATX.TYPE | STATX.LINKS | STATX.INODE | STATX.SIZE | STATX.BLOCKS;
