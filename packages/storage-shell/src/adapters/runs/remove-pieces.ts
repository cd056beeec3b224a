import { setImmediate as nextTurn } from 'node:timers/promises';
import { baseName, parentPath } from '@bakker/impl-format/storage';
import { hasCode, openFolderBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { removeTree } from './remove-tree.ts';

/** What two threads know of a tree that they remove together. */
export interface RemovalStart {
  readonly rootFd: number;
  /** Paths of folders below the root, none below another; each byte one character. */
  readonly pieces: readonly string[];
  /** See `REMOVAL`. */
  readonly shared: Int32Array<SharedArrayBuffer>;
}

/** Places in `RemovalStart.shared`: the next piece that nobody has taken, and whether to stop. */
export const REMOVAL = { NEXT: 0, STOP: 1 } as const;

/** Removes one piece after the other that the other thread has not taken. A failure stops both. @throws as `removeTree` */
export async function removePieces(
  root: FolderHandle,
  { pieces, shared }: RemovalStart,
  signal: AbortSignal,
): Promise<void> {
  try {
    while (Atomics.load(shared, REMOVAL.STOP) === 0) {
      const piece = pieces[Atomics.add(shared, REMOVAL.NEXT, 1)];
      if (piece === undefined) return;
      signal.throwIfAborted();
      await removePiece(root, Buffer.from(piece, 'latin1'), signal);
      await nextTurn(); // who wants to stop us is heard
    }
  } catch (error) {
    Atomics.store(shared, REMOVAL.STOP, 1);
    throw error;
  }
}

async function removePiece(root: FolderHandle, path: Buffer, signal: AbortSignal): Promise<void> {
  try {
    using above = openFolderBeneath(root, parentPath(path));
    await removeTree(above, baseName(path), { signal });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error; // somebody else removed what is above it
  }
}
