import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, cString, fail, libc } from './libc.ts';

/** Sets the modification time to the nanosecond, of a symlink itself too; the access time is set to the same. @throws LibcError */
export function setMtime(path: Buffer, mtimeNs: bigint): void {
  const times = timespecs(mtimeNs);
  if (libc().utimensat(AT_FDCWD, cString(path), times, AT_SYMLINK_NOFOLLOW) < 0) fail('utimensat', path);
}

/** Like `setMtime`, but of what a symlink leads to. @throws LibcError */
export function setMtimeThrough(path: Buffer, mtimeNs: bigint): void {
  if (libc().utimensat(AT_FDCWD, cString(path), timespecs(mtimeNs), 0) < 0) fail('utimensat', path);
}

/** Like `setMtime`, of an open file. @throws LibcError */
export function setMtimeOf(fd: number, mtimeNs: bigint): void {
  if (libc().futimens(fd, timespecs(mtimeNs)) < 0) fail('futimens');
}

const NS_PER_S = 1_000_000_000n;

/** Two `struct timespec`: access, modification. */
export function timespecs(timeNs: bigint): Buffer {
  const times = Buffer.alloc(32);
  let nanoseconds = timeNs % NS_PER_S;
  if (nanoseconds < 0n) nanoseconds += NS_PER_S; // before 1970: the seconds round down, tv_nsec is never negative
  const seconds = (timeNs - nanoseconds) / NS_PER_S;
  for (const at of [0, 16]) {
    times.writeBigInt64LE(seconds, at);
    times.writeBigInt64LE(nanoseconds, at + 8);
  }
  return times;
}
