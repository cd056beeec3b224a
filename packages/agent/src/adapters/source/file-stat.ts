import type { EntryType, FileFacts } from '@bakker/impl-format';
import { AT_SYMLINK_NOFOLLOW, cString, libc } from '@bakker/linux';

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
 * @returns the errno, as a positive number, if it fails
 */
export function statAt(folderFd: number, cName: Buffer): FileStat | number {
  const errno = lookAt(folderFd, cName);
  return errno === 0 ? foundStat() : errno;
}

/** The same, to be asked for by `foundFacts` and `foundStat` before anything else is looked at. @returns the errno, or 0 */
export function lookAt(folderFd: number, cName: Buffer): number {
  const failed = libc().statx(folderFd, cName, AT_SYMLINK_NOFOLLOW, WANTED, result) < 0;
  return failed ? libc().errno() : 0;
}

/**
 * What was looked at, as numbers alone, if it is a regular file without holes whose times are after 1970. Its user, group
 * and file system are the caller's to add.
 *
 * @returns its device; undefined for anything else
 */
export function foundFacts(facts: FileFacts): number | undefined {
  const modeBits = word(7) & 0xffff;
  if (modeBits >> 12 !== S_IFREG) return undefined;
  const sizeBytes = word(10) + word(11) * 2 ** 32;
  if ((word(12) + word(13) * 2 ** 32) * 512 < sizeBytes || word(25) > MAX_INT32 || word(29) > MAX_INT32)
    return undefined;
  facts.mode = modeBits & 0o7777;
  facts.uid = word(5);
  facts.gid = word(6);
  facts.sizeBytes = sizeBytes;
  facts.ctimeS = word(24) + word(25) * 2 ** 32;
  facts.ctimeNs = word(26);
  facts.mtimeS = word(28) + word(29) * 2 ** 32;
  facts.mtimeNs = word(30);
  facts.inode = word(8) + word(9) * 2 ** 32;
  facts.linkCount = word(4);
  return deviceKey(word(34), word(35));
}

/** Looks at an open file. @returns the errno if it fails */
export function statOpen(fd: number): FileStat | number {
  if (libc().statx(fd, EMPTY, AT_EMPTY_PATH, WANTED, result) < 0) return libc().errno();
  return foundStat();
}

/** Major and minor number in one: a number, because it is compared for every file. */
export function deviceKey(major: number, minor: number): number {
  return major * 2 ** 20 + minor;
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const WANTED = STATX_BASIC_STATS | STATX_BTIME;
const STATX_ATTR_MOUNT_ROOT = 0x2000;
const S_IFREG = 8;
const MAX_INT32 = 0x7fff_ffff;
const AT_EMPTY_PATH = 0x1000;
const EMPTY = cString('');

/** `struct statx`, written over by each call; little-endian on both machines that we run on. */
const memory = new ArrayBuffer(256);
const result = Buffer.from(memory);
const words = new Uint32Array(memory);
const longs = new BigInt64Array(memory);
const unsignedLongs = new BigUint64Array(memory);

const NS_PER_S = 1_000_000_000n;
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

/** What was looked at. */
export function foundStat(): FileStat {
  const modeBits = word(7) & 0xffff;
  return {
    type: TYPES[modeBits >> 12] ?? 'file',
    mode: modeBits & 0o7777,
    uid: word(5),
    gid: word(6),
    linkCount: word(4),
    inode: unsignedLongs[4] ?? 0n,
    sizeBytes: word(10) + word(11) * 2 ** 32,
    allocatedBytes: (word(12) + word(13) * 2 ** 32) * 512,
    ctimeNs: (longs[12] ?? 0n) * NS_PER_S + BigInt(word(26)),
    mtimeNs: (longs[14] ?? 0n) * NS_PER_S + BigInt(word(30)),
    bornNs: (word(0) & STATX_BTIME) === 0 ? undefined : (longs[10] ?? 0n) * NS_PER_S + BigInt(word(22)),
    rdevMajor: word(32),
    rdevMinor: word(33),
    device: deviceKey(word(34), word(35)),
    isMountRoot:
      (word(14) & STATX_ATTR_MOUNT_ROOT) === 0 ? undefined : (word(2) & STATX_ATTR_MOUNT_ROOT) !== 0,
  };
}

function word(index: number): number {
  return words[index] ?? 0;
}
