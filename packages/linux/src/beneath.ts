import { closeSync, constants, openSync } from 'node:fs';
import { LibcError, cString, fail, libc } from './libc.ts';

/** A handle for reaching what is below, not for reading: needs no permission on the folder itself (open(2)). */
export const O_PATH = 0o10000000;

/** A folder held open: what is reached through it stays below it, however its path is renamed or replaced meanwhile. */
export class FolderHandle implements Disposable {
  readonly #fd: number;
  readonly #prefix: Buffer;
  #isOpen = true;

  constructor(fd: number) {
    this.#fd = fd;
    this.#prefix = Buffer.from(`/proc/self/fd/${fd}/`);
  }

  /**
   * For calls of the kernel. Once closed it is -1, which no call takes: its number may be another folder's by then.
   */
  get fd(): number {
    return this.#isOpen ? this.#fd : -1;
  }

  /** A path by which any call reaches `name` in this very folder. One component; `.` is the folder itself. */
  at(name: Buffer): Buffer {
    if (!this.#isOpen) throw new Error('a folder was used after it was closed');
    return Buffer.concat([this.#prefix, name]);
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }
}

/** Opens an absolute path that is a folder, symlinks followed: the root that the administrator named. @throws errno error */
export function openFolder(path: Buffer): FolderHandle {
  return new FolderHandle(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY));
}

/**
 * Opens the folder at a relative path below `root` without following any symlink, the last one neither.
 *
 * @param path - components separated by 0x2f; empty for the root itself
 * @throws LibcError `ELOOP` or `ENOTDIR` for a symlink in the way, `EXDEV` for an escape, `ENOENT`
 */
export function openFolderBeneath(root: FolderHandle, path: Buffer): FolderHandle {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  return new FolderHandle(openBeneath(root, path.length === 0 ? Buffer.from('.') : path, { flags }));
}

/**
 * Opens (or, with O_CREAT, makes) a file at a relative path below `root` without following any symlink.
 *
 * @returns a descriptor that the caller closes
 * @throws LibcError as `openFolderBeneath`
 */
export function openBeneath(
  root: FolderHandle,
  path: Buffer,
  { flags, mode = 0 }: { flags: number; mode?: number },
): number {
  if (!hasOpenat2) return openStepwise(root, path, { flags, mode });
  if (path.length > MAX_SCRATCH_PATH_BYTES) return openStepwise(root, path, { flags, mode });
  how[0] = flags | constants.O_NOFOLLOW | O_CLOEXEC;
  how[2] = (flags & constants.O_CREAT) === 0 ? 0 : mode;
  how[4] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  scratchPath.set(path);
  scratchPath[path.length] = 0;
  const fd = libc().openat2(OPENAT2, root.fd, scratchPath, howBytes, howBytes.length);
  if (fd >= 0) return fd;
  const errno = libc().errno();
  if (errno === ENOSYS) hasOpenat2 = false; // before Linux 5.6
  // EAGAIN: a rename raced with it. EPERM: a sandbox's answer to calls it does not know. Too long: longer than one call takes.
  if (errno === ENOSYS || errno === EAGAIN || errno === EPERM || errno === ENAMETOOLONG) {
    return openStepwise(root, path, { flags, mode });
  }
  throw new LibcError('openat2', errno, path);
}

/** What `openBeneath` does where the kernel has no openat2: each component opened in the one before. Exported for its test. */
export function openStepwise(
  root: FolderHandle,
  path: Buffer,
  { flags, mode = 0 }: { flags: number; mode?: number },
): number {
  let parentFd = root.fd;
  try {
    for (let start = 0; ;) {
      const slash = path.indexOf(SLASH, start);
      const name = path.subarray(start, slash < 0 ? path.length : slash);
      if (name.equals(DOT_DOT) || (start === 0 && slash === 0)) throw new LibcError('openat', EXDEV, path);
      const isLast = slash < 0;
      const stepFlags = isLast ? flags : constants.O_DIRECTORY | O_PATH;
      const fd = libc().openat(parentFd, cString(name), stepFlags | constants.O_NOFOLLOW | O_CLOEXEC, mode);
      if (fd < 0) fail('openat', path);
      if (isLast) return fd;
      if (parentFd !== root.fd) closeSync(parentFd);
      parentFd = fd;
      start = slash + 1;
    }
  } finally {
    if (parentFd !== root.fd) closeSync(parentFd);
  }
}

/** `struct open_how` as words, and a path with its NUL: used again by each call, since a run makes one for every file. */
const how = new Uint32Array(6);
const howBytes = Buffer.from(how.buffer);
const MAX_SCRATCH_PATH_BYTES = 4095;
const scratchPath = Buffer.alloc(MAX_SCRATCH_PATH_BYTES + 1);
/** The same number on every architecture. */
const OPENAT2 = 437;
const RESOLVE_NO_MAGICLINKS = 2;
const RESOLVE_NO_SYMLINKS = 4;
const RESOLVE_BENEATH = 8;
const O_CLOEXEC = 0o2000000;
const EPERM = 1;
const EAGAIN = 11;
const ENAMETOOLONG = 36;
const ENOSYS = 38;
const EXDEV = 18;
const SLASH = 0x2f;
const DOT_DOT = Buffer.from('..');
let hasOpenat2 = true;
