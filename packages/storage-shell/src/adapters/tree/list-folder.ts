import {
  DIRENT,
  listDirectory,
  openFolderBeneath,
  type DirectoryListing,
  type FolderHandle,
} from '@bakker/linux';
import { statAt } from './stat-at.ts';

/** An open folder and what is in it. */
export interface ListedFolder extends Disposable {
  readonly folder: FolderHandle;
  readonly listing: DirectoryListing;
}

/** Opens a folder below `root`, no symlink followed, and lists it. Every type is known then. @throws LibcError */
export function listFolder(root: FolderHandle, path: Buffer): ListedFolder {
  const folder = openFolderBeneath(root, path);
  try {
    const listing = listDirectory(folder.fd);
    for (let number = 0; number < listing.count; number++) {
      if (listing.type(number) !== DIRENT.UNKNOWN) continue; // XFS without ftype, and some network file systems
      const found = statAt(folder.fd, listing.cName(number));
      if (found !== undefined) listing.settleType(number, found.type);
    }
    return { folder, listing, [Symbol.dispose]: () => folder[Symbol.dispose]() };
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
}
