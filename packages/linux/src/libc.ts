import { fsyncSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import type * as Koffi from 'koffi';
import { errnoName, hasCode } from './errno.ts';

export { hasCode } from './errno.ts';

/** `dirfd` that stands for the working folder; absolute paths pass over it. */
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_SYMLINK_FOLLOW = 0x400;

/** A call that failed, shaped like Node's own system errors. */
export class LibcError extends Error {
  override readonly name = 'LibcError';
  /** Name of the errno: `EACCES`. */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, path?: Buffer) {
    const code = errno > 0 ? errnoName(errno) : 'EIO';
    super(
      path === undefined ? `${code}: ${syscall}` : `${code}: ${syscall} ${JSON.stringify(path.toString())}`,
    );
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

/** A user or group as NSS knows it. */
export interface NssRecord {
  readonly id: number;
  readonly name: string;
}

/**
 * The calls that Node does not offer, each synchronous. Paths end in NUL (see `cString`); 64-bit results come as a number,
 * or as a bigint where a number would lose digits. A result below zero is a failure: see `fail`.
 */
export interface Libc {
  llistxattr(path: Buffer, list: Buffer | null, size: number): number;
  lgetxattr(path: Buffer, name: Buffer, value: Buffer | null, size: number): number;
  flistxattr(fd: number, list: Buffer | null, size: number): number;
  fgetxattr(fd: number, name: Buffer, value: Buffer | null, size: number): number;
  lsetxattr(path: Buffer, name: Buffer, value: Buffer, size: number, flags: number): number;
  fremovexattr(fd: number, name: Buffer): number;
  listxattr(path: Buffer, list: Buffer | null, size: number): number;
  setxattr(path: Buffer, name: Buffer, value: Buffer, size: number, flags: number): number;
  removexattr(path: Buffer, name: Buffer): number;
  utimensat(dirfd: number, path: Buffer, times: Buffer, flags: number): number;
  futimens(fd: number, times: Buffer): number;
  statx(dirfd: number, path: Buffer, flags: number, mask: number, result: Buffer): number;
  openat(dirfd: number, path: Buffer, flags: number, mode: number): number;
  linkat(oldDirfd: number, oldPath: Buffer, newDirfd: number, newPath: Buffer, flags: number): number;
  renameat2(oldDirfd: number, oldPath: Buffer, newDirfd: number, newPath: Buffer, flags: number): number;
  unlinkat(dirfd: number, path: Buffer, flags: number): number;
  mkdirat(dirfd: number, path: Buffer, mode: number): number;
  symlinkat(target: Buffer, dirfd: number, path: Buffer): number;
  readlinkat(dirfd: number, path: Buffer, target: Buffer, size: number): number;
  fsetxattr(fd: number, name: Buffer, value: Buffer, size: number, flags: number): number;
  /** `getdents64` by number. */
  getdents64(number: number, fd: number, result: Buffer, size: number): number;
  /** `ioprio_set` by number, or `ioprio_get`, which takes no priority. */
  ioprioSet(number: number, which: number, who: number, priority: number): number;
  sched_setaffinity(threadId: number, size: number, mask: Buffer): number;
  sched_getaffinity(threadId: number, size: number, mask: Buffer): number;
  lseek(fd: number, offset: number, whence: number): number | bigint;
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  /** Returns the errno, 0 for none. */
  posix_fadvise(fd: number, offset: number, length: number, advice: number): number;
  copy_file_range(
    from: number,
    fromOffset: Buffer,
    to: number,
    toOffset: Buffer,
    length: number,
    flags: number,
  ): number;
  /** On one of Node's threads; `done` is called with the result, and the errno if that is below zero. */
  copyFileRangeLater(
    between: { fromFd: number; toFd: number; offsets: readonly [Buffer, Buffer] },
    length: number,
    done: (copied: number, errno: number) => void,
  ): void;
  ioctlInt(fd: number, request: number, value: number): number;
  syncfs(fd: number): number;
  /** On one of Node's threads; `done` is called in a later turn of the event loop, with the errno, 0 for none. */
  syncfsLater(fd: number, done: (errno: number) => void): void;
  flock(fd: number, operation: number): number;
  poll(descriptors: Buffer, count: number, timeoutMs: number): number;
  fcntlLock(fd: number, command: number, lock: Buffer): number;
  fcntlInt(fd: number, command: number, value: number): number;
  /** `mknodat`: called by number, because older glibc exports no such symbol. */
  mknodat(number: number, dirfd: number, path: Buffer, mode: number, device: number): number;
  openat2(number: number, dirfd: number, path: Buffer, how: Buffer, size: number): number;
  userById(id: number): NssRecord | undefined;
  userByName(name: string): NssRecord | undefined;
  groupById(id: number): NssRecord | undefined;
  groupByName(name: string): NssRecord | undefined;
  mount(source: Buffer, at: Buffer, type: Buffer, flags: number, data: Buffer): number;
  /** On one of Node's threads; `done` is called with the errno, 0 for none. */
  mountLater(
    parts: { source: Buffer; at: Buffer; type: Buffer; data: Buffer },
    flags: number,
    done: (errno: number) => void,
  ): void;
  umount2(at: Buffer, flags: number): number;
  errno(): number;
}

let loaded: Libc | undefined;

/** libc of this process. koffi is loaded by the first call, because that takes longer than many a command. */
export function libc(): Libc {
  loaded ??= bind();
  return loaded;
}

/** Throws what the last call failed with. Nothing may run between the call and this. */
export function fail(syscall: string, path?: Buffer): never {
  throw new LibcError(syscall, libc().errno(), path);
}

/** The bytes with a NUL behind. @throws LibcError EINVAL if there is one inside, which would cut the path short */
export function cString(bytes: Uint8Array | string): Buffer {
  const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
  const result = Buffer.allocUnsafe(length + 1);
  if (typeof bytes === 'string') result.write(bytes);
  else result.set(bytes);
  result[length] = 0;
  if (result.indexOf(0) !== length)
    throw new LibcError('a path with a NUL byte', EINVAL, result.subarray(0, length));
  return result;
}

const EINVAL = 22;

function bind(): Libc {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  // The process's own symbols: whichever libc Node runs on.
  const library = koffi.load(null);
  const bytes = 'const uint8_t *';
  const out = 'uint8_t *';
  const call = (name: string, result: string, parameters: string[]) => library.func(name, result, parameters);
  if (isMainThread) leaveWithoutFlushing(call('_exit', 'void', ['int']));
  // Variadic functions are declared with fixed parameters: for integers the calling convention is the same on Linux.
  return {
    llistxattr: call('llistxattr', 'int64_t', [bytes, out, 'size_t']),
    lgetxattr: call('lgetxattr', 'int64_t', [bytes, bytes, out, 'size_t']),
    flistxattr: call('flistxattr', 'int64_t', ['int', out, 'size_t']),
    fgetxattr: call('fgetxattr', 'int64_t', ['int', bytes, out, 'size_t']),
    lsetxattr: call('lsetxattr', 'int', [bytes, bytes, bytes, 'size_t', 'int']),
    fremovexattr: call('fremovexattr', 'int', ['int', bytes]),
    listxattr: call('listxattr', 'int64_t', [bytes, out, 'size_t']),
    setxattr: call('setxattr', 'int', [bytes, bytes, bytes, 'size_t', 'int']),
    removexattr: call('removexattr', 'int', [bytes, bytes]),
    utimensat: call('utimensat', 'int', ['int', bytes, bytes, 'int']),
    futimens: call('futimens', 'int', ['int', bytes]),
    statx: call('statx', 'int', ['int', bytes, 'int', 'uint', out]),
    openat: call('openat', 'int', ['int', bytes, 'int', 'uint']),
    linkat: call('linkat', 'int', ['int', bytes, 'int', bytes, 'int']),
    renameat2: call('renameat2', 'int', ['int', bytes, 'int', bytes, 'uint']),
    unlinkat: call('unlinkat', 'int', ['int', bytes, 'int']),
    mkdirat: call('mkdirat', 'int', ['int', bytes, 'uint']),
    symlinkat: call('symlinkat', 'int', [bytes, 'int', bytes]),
    readlinkat: call('readlinkat', 'int64_t', ['int', bytes, out, 'size_t']),
    fsetxattr: call('fsetxattr', 'int', ['int', bytes, bytes, 'size_t', 'int']),
    getdents64: call('syscall', 'int64_t', ['int64_t', 'int64_t', out, 'int64_t']),
    ioprioSet: call('syscall', 'int64_t', ['int64_t', 'int64_t', 'int64_t', 'int64_t']),
    sched_setaffinity: call('sched_setaffinity', 'int', ['int', 'size_t', bytes]),
    sched_getaffinity: call('sched_getaffinity', 'int', ['int', 'size_t', out]),
    lseek: call('lseek', 'int64_t', ['int', 'int64_t', 'int']),
    fallocate: call('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
    posix_fadvise: call('posix_fadvise', 'int', ['int', 'int64_t', 'int64_t', 'int']),
    copy_file_range: call('copy_file_range', 'int64_t', ['int', out, 'int', out, 'size_t', 'uint']),
    copyFileRangeLater: ({ fromFd, toFd, offsets }, length, done) => {
      const parameters = ['int', out, 'int', out, 'size_t', 'uint'];
      library
        .func('copy_file_range', 'int64_t', parameters)
        .async(fromFd, offsets[0], toFd, offsets[1], length, 0, (_failure: unknown, copied: number) => {
          done(copied, copied < 0 ? koffi.errno() : 0);
        });
    },
    ioctlInt: call('ioctl', 'int', ['int', 'ulong', 'int64_t']),
    syncfs: call('syncfs', 'int', ['int']),
    syncfsLater: (fd, done) => {
      library.func('syncfs', 'int', ['int']).async(fd, (_failure: unknown, result: number) => {
        done(result === 0 ? 0 : koffi.errno());
      });
    },
    mount: call('mount', 'int', [bytes, bytes, bytes, 'ulong', bytes]),
    mountLater: ({ source, at, type, data }, flags, done) => {
      const parameters = [bytes, bytes, bytes, 'ulong', bytes];
      library
        .func('mount', 'int', parameters)
        .async(source, at, type, flags, data, (_failure: unknown, result: number) => {
          done(result === 0 ? 0 : koffi.errno());
        });
    },
    umount2: call('umount2', 'int', [bytes, 'int']),
    flock: call('flock', 'int', ['int', 'int']),
    poll: call('poll', 'int', [out, 'ulong', 'int']),
    fcntlLock: call('fcntl', 'int', ['int', 'int', bytes]),
    fcntlInt: call('fcntl', 'int', ['int', 'int', 'int']),
    mknodat: call('syscall', 'int64_t', ['int64_t', 'int64_t', bytes, 'int64_t', 'int64_t']),
    openat2: call('syscall', 'int64_t', ['int64_t', 'int64_t', bytes, bytes, 'int64_t']),
    ...bindNss(koffi, call),
    errno: () => koffi.errno(),
  };
}

/**
 * koffi flushes standard output and standard error when the process ends, and where a disk refuses that (a log on it, say) it
 * waits for ever: for itself, as it wants to say so. The process ends without that then; by now nothing is left to do.
 */
function leaveWithoutFlushing(leave: (status: number) => unknown): void {
  process.once('exit', (status) => {
    if ([STDOUT, STDERR].some(refusesFlush)) leave(status);
  });
}

const STDOUT = 1;
const STDERR = 2;

function refusesFlush(descriptor: number): boolean {
  try {
    fsyncSync(descriptor);
    return false;
  } catch (error) {
    return !hasCode(error, 'EINVAL'); // what a pipe or a terminal says
  }
}

/** The look-ups without `_r`: nothing else in this process calls them, and ours run on one thread. */
function bindNss(
  koffi: typeof Koffi,
  call: (name: string, result: string, parameters: string[]) => (...parameters: unknown[]) => unknown,
): Pick<Libc, 'userById' | 'userByName' | 'groupById' | 'groupByName'> {
  // The first members of struct passwd and of struct group are the same: name, password, id.
  const record = koffi.struct({ name: 'str', password: 'void *', id: 'uint32_t' });
  const lookUp = <Key>(name: string, parameter: string) => {
    const find = call(name, 'void *', [parameter]);
    return (key: Key): NssRecord | undefined => {
      const found = find(key);
      if (found === null) return undefined;
      const decoded = koffi.decode(found, record) as NssRecord;
      return { id: decoded.id, name: decoded.name };
    };
  };
  return {
    userById: lookUp<number>('getpwuid', 'uint32_t'),
    userByName: lookUp<string>('getpwnam', 'str'),
    groupById: lookUp<number>('getgrgid', 'uint32_t'),
    groupByName: lookUp<string>('getgrnam', 'str'),
  };
}
