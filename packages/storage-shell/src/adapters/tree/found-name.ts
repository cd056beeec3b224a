import { fail, STATX, statx, told } from '@bakker/linux';

/** What matters of a name in a folder. */
export interface FoundName {
  /** As `DIRENT`. */
  readonly type: number;
  readonly sizeBytes: number;
  readonly inode: bigint;
  /** A file that may still be written to: what was stored wholly may not, by nobody. */
  readonly isWritable: boolean;
}

/** Looks at a name (with NUL) of an open folder, a symlink itself; undefined if it is not there. @throws LibcError */
export function statAt(fd: number, cName: Buffer): FoundName | undefined {
  if (!isThere(fd, cName, STATX.TYPE | STATX.MODE | STATX.INODE | STATX.SIZE)) return undefined;
  return {
    type: told.type,
    sizeBytes: told.sizeBytes,
    inode: told.exactInode,
    isWritable: (told.mode & S_IWANY) !== 0,
  };
}

/** The size alone: what every kept file is asked for. Undefined if it is not there. @throws LibcError */
export function sizeAt(fd: number, cName: Buffer): number | undefined {
  return isThere(fd, cName, STATX.SIZE) ? told.sizeBytes : undefined;
}

const S_IWANY = 0o222;
const ENOENT = 2;

function isThere(fd: number, cName: Buffer, wanted: number): boolean {
  const errno = statx(fd, cName, wanted);
  return errno === 0 || (errno === ENOENT ? false : fail('statx', cName));
}
