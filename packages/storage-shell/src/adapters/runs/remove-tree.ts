import { constants } from 'node:fs';
import { FolderHandle, LibcError, hasCode, libc, openAt, removeFolderAt } from '@bakker/linux';
import { ITSELF, releasedBytes, useOf } from '../tree/inode-use.ts';
import { walkTree } from './walk-tree.ts';

export interface RemoveOptions {
  readonly signal: AbortSignal;
  /** Told of each inode that went with its last name; costs a look at every inode, so left out where nobody counts. */
  readonly freed?: (bytes: number) => void;
  /** Asked before each name that is no folder's: what it throws ends the removal there. */
  readonly check?: () => void;
}

/**
 * Removes a folder and all in it. Symlinks are removed, not followed; any depth; cut off anywhere, the next call goes on.
 * That it is not there is no failure.
 *
 * @param name - one component in `parent`
 * @throws LibcError; the signal's reason
 */
export async function removeTree(parent: FolderHandle, name: Buffer, options: RemoveOptions): Promise<void> {
  const { signal, freed, check } = options;
  // What is added while it is removed keeps a folder from going; it is found by starting over.
  for (let attempt = 1; ; attempt++) {
    using root = openOrNothing(parent, name) ?? null;
    if (root === null) return;
    // Looked at while it is full: some file systems take blocks from a folder that empties.
    const folderBytes: number[] = [];
    const left = (folder: FolderHandle, gone: Buffer): boolean => {
      const bytes = folderBytes.pop() ?? 0;
      const outcome = removeFolder(folder, gone);
      if (outcome === 'removed') freed?.(bytes);
      return outcome !== 'not-empty';
    };
    await walkTree(
      root,
      {
        enter: (folder) => {
          if (freed !== undefined) folderBytes.push(useOf(folder, ITSELF)?.bytes ?? 0);
        },
        entry: ({ folder, cName }) => {
          check?.();
          const bytes = freed === undefined ? undefined : lastNameBytes(folder, cName);
          // Somebody else may have been quicker: what went is given back once.
          if (unlink(folder, cName) && bytes !== undefined) freed?.(bytes);
        },
        leave: left,
      },
      { signal },
    );
    if (left(parent, name)) return;
    if (attempt === MAX_ATTEMPTS) throw new Error(`${name.toString()} fills up while it is removed`);
  }
}

const MAX_ATTEMPTS = 5;
const ENOENT = 2;

/** The folder of that name; undefined if nothing is there. @throws LibcError `ENOTDIR` or `ELOOP` for what is no folder */
export function openOrNothing(folder: FolderHandle, name: Buffer): FolderHandle | undefined {
  try {
    return new FolderHandle(openAt({ folder, name }, { flags: constants.O_RDONLY | constants.O_DIRECTORY }));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** What goes with this name; undefined while the inode has others. */
function lastNameBytes(folder: FolderHandle, cName: Buffer): number | undefined {
  const use = useOf(folder, cName);
  return use?.links === 1 ? releasedBytes(use) : undefined;
}

/** Not `unlinkAt`: the name is in the kernel's form already, and this is done for every file of a run. False if it is gone. */
function unlink(folder: FolderHandle, cName: Buffer): boolean {
  if (libc().unlinkat(folder.fd, cName, 0) === 0) return true;
  const errno = libc().errno();
  if (errno !== ENOENT) throw new LibcError('unlinkat', errno, cName.subarray(0, -1));
  return false;
}

function removeFolder(folder: FolderHandle, name: Buffer): 'removed' | 'gone' | 'not-empty' {
  try {
    return removeFolderAt({ folder, name }) ? 'removed' : 'gone';
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return 'not-empty';
    throw error;
  }
}
