import { constants } from 'node:fs';
import { FolderHandle, LibcError, cString, hasCode, libc, openAt, removeFolderAt } from '@bakker/linux';
import { useOf } from './stat-at.ts';
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
    await walkTree(
      root,
      {
        entry: ({ folder, cName }) => {
          check?.();
          if (freed !== undefined) countFile(folder, cName, freed);
          unlink(folder, cName);
        },
        leave: (folder, gone) => removeFolder(folder, gone, freed),
      },
      { signal },
    );
    if (removeFolder(parent, name, freed)) return;
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

function countFile(folder: FolderHandle, cName: Buffer, freed: (bytes: number) => void): void {
  const use = useOf(folder, cName);
  if (use?.links === 1) freed(use.bytes);
}

/** Not `unlinkAt`: the name is in the kernel's form already, and this is done for every file of a run. */
function unlink(folder: FolderHandle, cName: Buffer): void {
  if (libc().unlinkat(folder.fd, cName, 0) === 0) return;
  const errno = libc().errno();
  if (errno !== ENOENT) throw new LibcError('unlinkat', errno, cName.subarray(0, -1));
}

/** False if something is in it. */
function removeFolder(folder: FolderHandle, name: Buffer, freed?: (bytes: number) => void): boolean {
  const use = freed === undefined ? undefined : useOf(folder, cString(name));
  try {
    removeFolderAt({ folder, name });
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
    throw error;
  }
  if (use !== undefined) freed?.(use.bytes);
  return true;
}
