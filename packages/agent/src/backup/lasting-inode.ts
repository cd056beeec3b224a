import type { Entry, SourceFilesystem } from '@bakker/impl-format';

/** Of a file that must never be found by its inode. */
export const NO_INODE = 0n;

/**
 * File systems that number inodes as they meet them, anew after each mount, or whose layers have numbers of their own. FAT has
 * no ctime either, so that nothing tells the file that has a number now from the one that had it.
 */
const WITHOUT_LASTING_INODES = /^(msdos|vfat|exfat|fuse|fuseblk|fuse\..*|cifs|smb3|9p|overlay)$/;

/** The number by which the file is known from run to run, also under another name; `NO_INODE` if there is none. */
export function lastingInode({ inode, unsettled }: Entry, { type }: SourceFilesystem): bigint {
  // one that is unsettled could change with its times unchanged
  return unsettled === true || WITHOUT_LASTING_INODES.test(type) ? NO_INODE : inode;
}
