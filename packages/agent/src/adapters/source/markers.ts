import { closeSync, constants, readSync } from 'node:fs';
import { cString, LibcError, openBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { statAt } from './file-stat.ts';

export const CACHEDIR_TAG = 'CACHEDIR.TAG';
export const NOBACKUP = '.nobackup';

/** The name of the file by which a folder asks to be left out (https://bford.info/cachedir/); undefined if it does not. */
export function findMarker(folder: FolderHandle, names: readonly string[]): string | undefined {
  if (names.includes(CACHEDIR_TAG) && hasSignature(folder)) return CACHEDIR_TAG;
  if (names.includes(NOBACKUP) && isFile(folder, NOBACKUP)) return NOBACKUP;
  return undefined;
}

const SIGNATURE = Buffer.from('Signature: 8a477f597d28d172789f06886806bc55');

function isFile(folder: FolderHandle, name: string): boolean {
  const stat = statAt(folder.fd, cString(name));
  return typeof stat !== 'number' && stat.type === 'file';
}

function hasSignature(folder: FolderHandle): boolean {
  if (!isFile(folder, CACHEDIR_TAG)) return false;
  let fd: number;
  try {
    fd = openBeneath(folder, Buffer.from(CACHEDIR_TAG), { flags: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    if (error instanceof LibcError) return false; // what can't be checked is backed up
    throw error;
  }
  try {
    const start = Buffer.alloc(SIGNATURE.length);
    readSync(fd, start, 0, start.length, 0);
    return start.equals(SIGNATURE);
  } catch {
    return false;
  } finally {
    closeSync(fd);
  }
}
