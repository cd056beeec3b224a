import type { EntryType, FileFacts } from '@bakker/impl-format';
import { AS_IT_IS, DIRENT, STATX, statx, statxOpen, told } from '@bakker/linux';

/** What statx(2) says of a file: quicker here than Node's lstat, and relative to an open folder. */
export interface FileStat {
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly linkCount: number;
  readonly inode: bigint;
  /** As the file system says it: of a directory or symlink too. */
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** When the inode was made; undefined where the file system does not tell. */
  readonly bornNs: bigint | undefined;
  /** Of the device node itself. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Identity of the file system while it is mounted; made from major and minor by `deviceKey`. */
  readonly device: number;
  /** Whether something is mounted just here; undefined where the kernel (before 5.8) does not tell. */
  readonly isMountRoot: boolean | undefined;
}

/**
 * Looks at a name in an open folder, not following a symlink.
 *
 * @param cName - ends in NUL; relative to `folderFd` unless absolute
 * @param flags - `AS_MOUNTED` where what an automounter has for that name is wanted
 * @returns the errno, as a positive number, if it fails
 */
export function statAt(folderFd: number, cName: Buffer, flags: number = AS_IT_IS): FileStat | number {
  const errno = lookAt(folderFd, cName, flags);
  return errno === 0 ? foundStat() : errno;
}

/** The same, to be asked for by `foundFacts` and `foundStat` before anything else is looked at. @returns the errno, or 0 */
export function lookAt(folderFd: number, cName: Buffer, flags: number = AS_IT_IS): number {
  return statx(folderFd, cName, WANTED, flags);
}

/**
 * What was looked at, as numbers alone, if it is a regular file without holes whose times are after 1970. Its user, group
 * and file system are the caller's to add.
 *
 * @returns its device; undefined for anything else
 */
export function foundFacts(facts: FileFacts): number | undefined {
  if (told.type !== DIRENT.FILE) return undefined;
  const { sizeBytes } = told;
  if (told.allocatedBytes < sizeBytes || !told.areTimesPositive) return undefined;
  facts.mode = told.mode;
  facts.uid = told.uid;
  facts.gid = told.gid;
  facts.sizeBytes = sizeBytes;
  facts.ctimeS = told.ctimeS;
  facts.ctimeNs = told.ctimeRestNs;
  facts.mtimeS = told.mtimeS;
  facts.mtimeNs = told.mtimeRestNs;
  facts.inode = told.inode;
  facts.linkCount = told.links;
  return deviceKey(told.deviceMajor, told.deviceMinor);
}

/** Looks at an open file. @returns the errno if it fails */
export function statOpen(fd: number): FileStat | number {
  const errno = statxOpen(fd, WANTED);
  return errno === 0 ? foundStat() : errno;
}

/** Major and minor number in one: a number, because it is compared for every file. */
export function deviceKey(major: number, minor: number): number {
  return major * 2 ** 20 + minor;
}

/** What was looked at. */
export function foundStat(): FileStat {
  return {
    type: TYPES[told.type] ?? 'file',
    mode: told.mode,
    uid: told.uid,
    gid: told.gid,
    linkCount: told.links,
    inode: told.exactInode,
    sizeBytes: told.sizeBytes,
    allocatedBytes: told.allocatedBytes,
    ctimeNs: told.ctimeNs,
    mtimeNs: told.mtimeNs,
    bornNs: told.bornNs,
    rdevMajor: told.rdevMajor,
    rdevMinor: told.rdevMinor,
    device: deviceKey(told.deviceMajor, told.deviceMinor),
    isMountRoot: told.isMountRoot,
  };
}

const WANTED = STATX.BASIC | STATX.BORN;
const TYPES: readonly (EntryType | undefined)[] = [
  undefined,
  'fifo',
  'char',
  undefined,
  'directory',
  undefined,
  'block',
  undefined,
  'file',
  undefined,
  'symlink',
  undefined,
  'socket',
];
