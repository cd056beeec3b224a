import type { Entry, SourceFilesystem } from '@bakker/impl-format';
import type { InodeKey } from '../ports/state-folder.ts';

/** Of a file that must never be found by its inode. */
export const NO_INODE = 0n;

/**
 * File systems that number inodes as they meet them, anew after each mount, or whose layers have numbers of their own. FAT has
 * no ctime either, so that nothing tells the file that has a number now from the one that had it.
 */
const WITHOUT_LASTING_INODES = /^(msdos|vfat|exfat|fuse|fuseblk|fuse\..*|cifs|smb3|9p|overlay)$/;

/** By what the file is known from run to run, also under another name; its inode is `NO_INODE` if by nothing. */
export function inodeKeyOf(entry: Entry, { type, mountPoint }: SourceFilesystem): InodeKey {
  const { inode, sizeBytes, mtimeNs, ctimeNs, bornNs, unsettled } = entry;
  return {
    filesystem: mountPoint,
    inode: WITHOUT_LASTING_INODES.test(type) ? NO_INODE : inode,
    sizeBytes,
    mtimeNs,
    // one that is unsettled could change with its times unchanged: all that is known is that older content is gone
    ...(unsettled === true ? { ctimeNs: undefined, bornNs: undefined } : { ctimeNs, bornNs }),
  };
}
