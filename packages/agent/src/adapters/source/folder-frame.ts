import { constants, readdirSync } from 'node:fs';
import type { PlannedSource, SourceNode } from '../../source/source-map.ts';
import { cString, FolderHandle, libc, LibcError, O_PATH, openFolderBeneath } from '@bakker/linux';

/** A folder being walked: its names in order, and how far the walk has come. */
export interface FolderFrame {
  /** Of an entry in it: bytes relative to `/`, with a slash at the end; empty for the root. */
  readonly prefix: Buffer;
  readonly device: number;
  /** How names in it are looked at (`AS_…` of statx). */
  readonly look: number;
  /** Whose rules hold in it; undefined in a folder that only leads to a source. */
  readonly source: PlannedSource | undefined;
  /** Sources below it. */
  readonly node: SourceNode | undefined;
  /** Latin1, so that strings sort as bytes do. */
  readonly names: readonly string[];
  next: number;
  /** Closed while the walk is far below it. */
  handle: FolderHandle | undefined;
}

/** Opens a name in an open folder, for what is below it; a symlink is refused. @throws LibcError */
export function openChild(parent: FolderHandle, cName: Buffer): FolderHandle {
  const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW | O_CLOEXEC;
  const fd = libc().openat(parent.fd, cName, flags, 0);
  if (fd < 0) throw new LibcError('openat', libc().errno(), cName.subarray(0, cName.indexOf(0)));
  return new FolderHandle(fd);
}

/** The names in a folder, sorted by bytes, each byte one character. @throws errno error */
export function readNames(folder: FolderHandle): string[] {
  return readdirSync(folder.at(HERE), { encoding: 'latin1' }).sort();
}

/** The handle of a frame, opened again if it was closed meanwhile. @throws LibcError if the folder has gone */
export function handleOf(frame: FolderFrame, root: FolderHandle): FolderHandle {
  frame.handle ??= openFolderBeneath(root, frame.prefix.subarray(0, -1));
  return frame.handle;
}

/** The bytes of a name as `readNames` gives it, NUL behind, in `scratch`. */
export function writeCName(name: string, scratch: Buffer): void {
  scratch[scratch.write(name, 0, 'latin1')] = 0;
}

/** A name in a folder as a path with NUL behind. */
export function cPathIn(folder: FolderHandle, name: string): Buffer {
  return cString(folder.at(Buffer.from(name, 'latin1')));
}

const O_CLOEXEC = 0o2000000;
const HERE = Buffer.from('.');
