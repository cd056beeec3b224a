import { AT_SYMLINK_NOFOLLOW, cString, libc } from './libc.ts';

/** What may be asked for (statx(2), `STATX_…`); a file system may tell more, or less. */
export const STATX = {
  TYPE: 0x1,
  MODE: 0x2,
  LINKS: 0x4,
  INODE: 0x100,
  SIZE: 0x200,
  BLOCKS: 0x400,
  BASIC: 0x7ff,
  BORN: 0x800,
} as const;

/** Looks at what is there, as lstat(2) does: follows no symlink, and mounts nothing that an automounter would. */
export const AS_IT_IS = AT_SYMLINK_NOFOLLOW | 0x800; // AT_NO_AUTOMOUNT
/** As it is, by what the kernel knows: of a file system whose server does not answer, nobody waits for it. */
export const AS_KNOWN = AS_IT_IS | 0x4000; // AT_STATX_DONT_SYNC
/** Has an automounter mount first what belongs there; statx(2) by itself does, unlike lstat(2). */
export const AS_MOUNTED = AT_SYMLINK_NOFOLLOW;

/**
 * statx(2). What it says is in `told` until the next call.
 *
 * @param cName - ends in NUL; relative to the folder unless absolute
 * @param wanted - of `STATX`
 * @returns the errno, as a positive number; 0 if all is well
 */
export function statx(folderFd: number, cName: Buffer, wanted: number, flags: number = AS_IT_IS): number {
  return libc().statx(folderFd, cName, flags, wanted, result) < 0 ? libc().errno() : 0;
}

/** The same of what is open. */
export function statxOpen(fd: number, wanted: number): number {
  return statx(fd, NO_NAME, wanted, AT_EMPTY_PATH);
}

const AT_EMPTY_PATH = 0x1000;
const NO_NAME = cString('');
const STATX_ATTR_MOUNT_ROOT = 0x2000;
/** Of `st_blocks`, on every file system. */
export const BLOCK_UNIT_BYTES = 512;
const NS_PER_S = 1_000_000_000n;

/** `struct statx`, written over by each call; little-endian on both machines that we run on. */
const memory = new ArrayBuffer(256);
const result = Buffer.from(memory);
const words = new Uint32Array(memory);
const longs = new BigInt64Array(memory);
const unsignedLongs = new BigUint64Array(memory);

function word(index: number): number {
  return words[index] ?? 0;
}

/** Of two words. */
function long(index: number): number {
  return word(index) + word(index + 1) * 2 ** 32;
}

/** A class, because V8 compiles its getters into who asks: they are asked for each file of a scan. */
class Told {
  /** As `DIRENT`: the file's type as `readdir` has it. */
  get type(): number {
    return (word(7) & 0xffff) >> 12;
  }
  /** Permission bits with setuid, setgid and sticky. */
  get mode(): number {
    return word(7) & 0o7777;
  }
  get uid(): number {
    return word(5);
  }
  get gid(): number {
    return word(6);
  }
  get links(): number {
    return word(4);
  }
  /** Not exact beyond 2^53. */
  get inode(): number {
    return long(8);
  }
  get exactInode(): bigint {
    return unsignedLongs[4] ?? 0n;
  }
  get sizeBytes(): number {
    return long(10);
  }
  get allocatedBytes(): number {
    return long(12) * BLOCK_UNIT_BYTES;
  }
  /** Whole seconds, and the nanoseconds behind them; true only of times that `areTimesPositive` speaks of. */
  get ctimeS(): number {
    return long(24);
  }
  get ctimeRestNs(): number {
    return word(26);
  }
  get mtimeS(): number {
    return long(28);
  }
  get mtimeRestNs(): number {
    return word(30);
  }
  /** Whether both times are after 1970. */
  get areTimesPositive(): boolean {
    return word(25) <= MAX_INT32 && word(29) <= MAX_INT32;
  }
  get ctimeNs(): bigint {
    return (longs[12] ?? 0n) * NS_PER_S + BigInt(word(26));
  }
  get mtimeNs(): bigint {
    return (longs[14] ?? 0n) * NS_PER_S + BigInt(word(30));
  }
  /** When the inode was made; undefined where the file system does not tell. */
  get bornNs(): bigint | undefined {
    return (word(0) & STATX.BORN) === 0 ? undefined : (longs[10] ?? 0n) * NS_PER_S + BigInt(word(22));
  }
  /** Of the device node itself. */
  get rdevMajor(): number {
    return word(32);
  }
  get rdevMinor(): number {
    return word(33);
  }
  get deviceMajor(): number {
    return word(34);
  }
  get deviceMinor(): number {
    return word(35);
  }
  /** Whether something is mounted just here; undefined where the kernel (before 5.8) does not tell. */
  get isMountRoot(): boolean | undefined {
    if ((word(14) & STATX_ATTR_MOUNT_ROOT) === 0) return undefined;
    return (word(2) & STATX_ATTR_MOUNT_ROOT) !== 0;
  }
}

/** What the last call said. */
export const told = new Told();

const MAX_INT32 = 0x7fff_ffff;
