import { AT_SYMLINK_NOFOLLOW, LibcError, libc } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';

/** What an inode takes, and how many names share it. */
export interface InodeUse {
  readonly inode: number;
  readonly links: number;
  /** Allocated, as `du` counts. */
  readonly bytes: number;
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
    inode: result.readUInt32LE(INODE_AT) + result.readUInt32LE(INODE_AT + 4) * 2 ** 32,
    bytes: (result.readUInt32LE(BLOCKS_AT) + result.readUInt32LE(BLOCKS_AT + 4) * 2 ** 32) * BLOCK_BYTES,
  };
}

/** The folder itself, for `useOf`. */
export const ITSELF = Buffer.from([0]);

const ENOENT = 2;
const AT_EMPTY_PATH = 0x1000;
const BLOCK_BYTES = 512;
/** STATX_NLINK, STATX_INO, STATX_BLOCKS. */
const WANTED = 0x4 | 0x100 | 0x400;
/** `struct statx` (statx(2)). */
const LINKS_AT = 16;
const INODE_AT = 32;
const BLOCKS_AT = 48;
const result = Buffer.alloc(256);
