import {
  DIRENT,
  GatheredNames,
  listAtMost,
  listNext,
  openFolderBeneath,
  type DirectoryListing,
  type FolderHandle,
} from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import { statAt } from './found-name.ts';

/** An open folder and what is in it. */
export interface ListedFolder extends Disposable {
  readonly folder: FolderHandle;
  readonly listing: DirectoryListing;
}

/**
 * Opens a folder below `root`, no symlink followed, and lists it whole. Every type is known then.
 *
 * @throws StorageError FAILED if the listing would take more than `mostBytes`; LibcError
 */
export function listFolder(root: FolderHandle, path: Buffer, mostBytes = Infinity): ListedFolder {
  const folder = openFolderBeneath(root, path);
  try {
    const listing = listAtMost(folder.fd, mostBytes);
    if (listing === undefined) {
      throw new StorageError(
        'FAILED',
        `${JSON.stringify(path.toString())} has more names than can be sorted`,
        {
          hint: 'exclude it, or spread its files over more folders',
        },
      );
    }
    settleTypes(folder, listing);
    return { folder, listing, [Symbol.dispose]: () => folder[Symbol.dispose]() };
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
}

/**
 * Reads a folder from its beginning in pieces, in the kernel's order, so that no more than some thousand names are held.
 *
 * @param folder - just opened
 * @returns the folders that are in it, and perhaps more
 * @throws LibcError
 */
export function* readPieces(folder: FolderHandle): Generator<DirectoryListing, DirectoryListing | undefined> {
  const first = nextPiece(folder);
  if (first === undefined) return undefined;
  yield first;
  let piece = nextPiece(folder);
  if (piece === undefined) return first; // nearly every folder
  const folders = new GatheredNames();
  addFolders(folders, first);
  for (; piece !== undefined; piece = nextPiece(folder)) {
    yield piece;
    addFolders(folders, piece);
  }
  return folders.listing();
}

function addFolders(folders: GatheredNames, piece: DirectoryListing): void {
  for (let number = 0; number < piece.count; number++) {
    if (piece.type(number) === DIRENT.DIRECTORY) folders.add(piece, number);
  }
}

function nextPiece(folder: FolderHandle): DirectoryListing | undefined {
  const piece = listNext(folder.fd);
  if (piece !== undefined) settleTypes(folder, piece);
  return piece;
}

function settleTypes(folder: FolderHandle, listing: DirectoryListing): void {
  for (let number = 0; number < listing.count; number++) {
    if (listing.type(number) !== DIRENT.UNKNOWN) continue; // XFS without ftype, and some network file systems
    const found = statAt(folder.fd, listing.cName(number));
    if (found !== undefined) listing.settleType(number, found.type);
  }
}
