import { AT_SYMLINK_NOFOLLOW, LibcError, libc } from '@bakker/linux';
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
  const flags = cName.length === 1 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  if (libc().statx(folder.fd, cName, flags, WANTED, result) < 0) {
    const errno = libc().errno();
    if (errno === ENOENT) return undefined;
    throw new LibcError('statx', errno, cName.subarray(0, -1));
  }
  return {
    links: result.readUInt32LE(LINKS_AT),
    inode: numberAt(INODE_AT),
    bytes: numberAt(BLOCKS_AT) * BLOCK_UNIT_BYTES,
    sizeBytes: (result.readUInt16LE(MODE_AT) & S_IFMT) === S_IFREG ? numberAt(SIZE_AT) : undefined,
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
const AT_EMPTY_PATH = 0x1000;
/** What file systems give space in. */
export const BLOCK_BYTES = 4096;
/** Of `st_blocks`, on every file system. */
export const BLOCK_UNIT_BYTES = 512;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** STATX_TYPE, STATX_NLINK, STATX_INO, STATX_SIZE, STATX_BLOCKS. */
const WANTED = 0x1 | 0x4 | 0x100 | 0x200 | 0x400;
/** `struct statx` (statx(2)). */
const LINKS_AT = 16;
const MODE_AT = 28;
const INODE_AT = 32;
const SIZE_AT = 40;
const BLOCKS_AT = 48;
const result = Buffer.alloc(256);

function numberAt(at: number): number {
  return result.readUInt32LE(at) + result.readUInt32LE(at + 4) * 2 ** 32;
}
