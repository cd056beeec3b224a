import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DIRENT, hasCode, openFolderBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { below as pathBelow } from '../tree/folder-walk.ts';
import { readPieces } from '../tree/list-folder.ts';
import { removePieces, type RemovalStart } from './remove-pieces.ts';
import { openOrNothing, removeTree } from './remove-tree.ts';

/** Folders that are worth a thread of their own to share them with. */
const ENOUGH_PIECES = 32;
const MAX_PIECES = 16_384;
/** A run begins with the folders above its sources, of which there is one each. */
const MAX_DEPTH = 8;

/**
 * As `removeTree`, by two threads where there are folders to share: on ext4, two remove half as much again as one.
 * Not for counting what is freed: of an inode whose last two names go at once, neither would see that it is the last.
 *
 * @throws LibcError; the signal's reason
 */
export async function removeLargeTree(
  parent: FolderHandle,
  name: Buffer,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  await removeTogether(parent, name, signal);
  // What is above the pieces, and whatever was not one.
  await removeTree(parent, name, { signal });
}

async function removeTogether(parent: FolderHandle, name: Buffer, signal: AbortSignal): Promise<void> {
  using root = openOrNothing(parent, name) ?? null;
  if (root === null) return;
  const pieces = piecesOf(root);
  if (pieces.length < ENOUGH_PIECES) return;
  const start: RemovalStart = {
    rootFd: root.fd,
    pieces: pieces.map((path) => path.toString('latin1')),
    shared: new Int32Array(new SharedArrayBuffer(8)),
  };
  const program = new URL(`./remove-thread${extname(import.meta.url)}`, import.meta.url);
  const thread = new Worker(program, { workerData: start, trackUnmanagedFds: false });
  // It ends by itself: one that is terminated within a call of libc takes the process with it.
  const ended = new Promise<void>((resolve, reject) => {
    thread.once('error', reject);
    thread.once('exit', () => resolve());
  });
  ended.catch(() => undefined); // awaited below; it may fail before
  try {
    await removePieces(root, start, signal);
  } finally {
    await ended;
  }
  signal.throwIfAborted();
}

/** Folders of one depth: the first that has enough of them. Paths below `root`. */
function piecesOf(root: FolderHandle): Buffer[] {
  let pieces: Buffer[] = [Buffer.alloc(0)];
  for (let depth = 0; depth < MAX_DEPTH && pieces.length < ENOUGH_PIECES; depth++) {
    const below = pieces.flatMap((path) => foldersIn(root, path));
    if (below.length === 0) break;
    pieces = below;
  }
  return pieces.slice(0, MAX_PIECES);
}

function foldersIn(root: FolderHandle, path: Buffer): Buffer[] {
  const found: Buffer[] = [];
  try {
    using folder = openFolderBeneath(root, path);
    for (const piece of readPieces(folder)) {
      for (let number = 0; number < piece.count; number++) {
        if (piece.type(number) === DIRENT.DIRECTORY) found.push(pathBelow(path, piece.name(number)));
      }
      if (found.length >= MAX_PIECES) break;
    }
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error; // somebody else removes the tree, too
  }
  return found;
}
