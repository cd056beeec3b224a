import { AT_SYMLINK_NOFOLLOW, fail, libc } from '@bakker/linux';

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
  if (!statxAt(fd, cName, STATX_TYPE | STATX_MODE | STATX_INO | STATX_SIZE)) return undefined;
  return {
    type: (buffer.readUInt16LE(MODE_AT) & S_IFMT) >> 12,
    sizeBytes: sizeFound(),
    inode: buffer.readBigUInt64LE(INODE_AT),
    isWritable: (buffer.readUInt16LE(MODE_AT) & S_IWANY) !== 0,
  };
}

/** The size alone: what every kept file is asked for. Undefined if it is not there. @throws LibcError */
export function sizeAt(fd: number, cName: Buffer): number | undefined {
  return statxAt(fd, cName, STATX_SIZE) ? sizeFound() : undefined;
}

const AT_NO_AUTOMOUNT = 0x800;
const STATX_TYPE = 0x1;
const STATX_MODE = 0x2;
const STATX_INO = 0x100;
const STATX_SIZE = 0x200;
const S_IFMT = 0o170000;
const S_IWANY = 0o222;
const ENOENT = 2;
/** Places in `struct statx`. */
const MODE_AT = 28;
const INODE_AT = 32;
const SIZE_AT = 40;
const buffer = Buffer.alloc(256);

function statxAt(fd: number, cName: Buffer, mask: number): boolean {
  if (libc().statx(fd, cName, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, mask, buffer) === 0) return true;
  return libc().errno() === ENOENT ? false : fail('statx', cName);
}

function sizeFound(): number {
  return buffer.readUInt32LE(SIZE_AT) + buffer.readUInt32LE(SIZE_AT + 4) * 0x1_0000_0000;
}
