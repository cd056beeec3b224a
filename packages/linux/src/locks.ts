import { fail, libc } from './libc.ts';

/** Takes the exclusive lock of an open file without waiting; the kernel drops it when the file is closed. False if another holds it. @throws LibcError */
export function tryLock(fd: number): boolean {
  return tryFlock(fd, LOCK_EX);
}

/** The same for the lock that several can hold, while nobody has the exclusive one. */
export function trySharedLock(fd: number): boolean {
  return tryFlock(fd, LOCK_SH);
}

/**
 * Takes one byte of an open file without waiting, so that a file can be many locks; the kernel drops it when this opening of
 * the file is closed. It has nothing to do with `tryLock`. The file must be open for writing, and need not be that long.
 *
 * @returns false if another holds it
 * @throws LibcError
 */
export function tryLockByte(fd: number, offset: number): boolean {
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeInt16LE(F_WRLCK, 0);
  lock.writeBigInt64LE(BigInt(offset), 8);
  lock.writeBigInt64LE(1n, 16);
  if (libc().fcntlLock(fd, F_OFD_SETLK, lock) === 0) return true;
  const errno = libc().errno();
  return errno === EWOULDBLOCK || errno === EACCES ? false : fail('fcntl');
}

function tryFlock(fd: number, kind: number): boolean {
  if (libc().flock(fd, kind | LOCK_NB) === 0) return true;
  return libc().errno() === EWOULDBLOCK ? false : fail('flock');
}

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;
const EACCES = 13;
/** Of 64-bit systems: l_type, l_whence (0: from the start), l_start, l_len, l_pid. */
const FLOCK_BYTES = 32;
const F_WRLCK = 1;
const F_OFD_SETLK = 37;
