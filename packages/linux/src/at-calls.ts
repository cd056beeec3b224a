import type { FolderHandle } from './beneath.ts';
import { constants } from 'node:fs';
import { cString, fail, libc } from './libc.ts';

/** A name (one component) in an open folder. */
export interface Place {
  readonly folder: FolderHandle;
  readonly name: Buffer;
}

/** Opens a name in a folder, a symlink there not followed. @returns a descriptor that the caller closes. @throws LibcError */
export function openAt(
  { folder, name }: Place,
  { flags, mode = 0 }: { flags: number; mode?: number },
): number {
  const fd = libc().openat(folder.fd, cString(name), flags | constants.O_NOFOLLOW | O_CLOEXEC, mode);
  return fd < 0 ? fail('openat', name) : fd;
}

/** Makes a folder. False if the name is taken. @throws LibcError */
export function makeFolderAt({ folder, name }: Place, mode: number): boolean {
  if (libc().mkdirat(folder.fd, cString(name), mode) === 0) return true;
  return libc().errno() === EEXIST ? false : fail('mkdirat', name);
}

/** Makes a symlink. @throws LibcError `EEXIST` */
export function makeSymlinkAt({ folder, name }: Place, target: Buffer): void {
  if (libc().symlinkat(cString(target), folder.fd, cString(name)) < 0) fail('symlinkat', name);
}

/** What a symlink says; undefined if nothing is there, or no symlink. @throws LibcError */
export function readSymlinkAt({ folder, name }: Place): Buffer | undefined {
  const lengthBytes = libc().readlinkat(folder.fd, cString(name), target, target.length);
  if (lengthBytes >= 0) return Buffer.from(target.subarray(0, lengthBytes));
  const errno = libc().errno();
  return errno === ENOENT || errno === EINVAL ? undefined : fail('readlinkat', name);
}

/** Gives a file a further name. @throws LibcError `EEXIST`, `EMLINK`, `ENOENT` */
export function linkAt(existing: Place, place: Place): void {
  const done = libc().linkat(
    existing.folder.fd,
    cString(existing.name),
    place.folder.fd,
    cString(place.name),
    0,
  );
  if (done < 0) fail('linkat', place.name);
}

/** Renames only if nothing has the new name. @throws LibcError `EEXIST` */
export function renameNewAt(from: Place, to: Place): void {
  rename(from, to, RENAME_NOREPLACE);
}

/** Renames, and replaces what has the new name in one step. @throws LibcError */
export function renameOverAt(from: Place, to: Place): void {
  rename(from, to, 0);
}

/** Removes a name that is no folder. False if nothing is there. @throws LibcError */
export function unlinkAt({ folder, name }: Place): boolean {
  if (libc().unlinkat(folder.fd, cString(name), 0) === 0) return true;
  return libc().errno() === ENOENT ? false : fail('unlinkat', name);
}

/** Removes an empty folder. False if nothing is there. @throws LibcError `ENOTEMPTY` */
export function removeFolderAt({ folder, name }: Place): boolean {
  if (libc().unlinkat(folder.fd, cString(name), AT_REMOVEDIR) === 0) return true;
  return libc().errno() === ENOENT ? false : fail('unlinkat', name);
}

const O_CLOEXEC = 0o2000000;
const AT_REMOVEDIR = 0x200;
const RENAME_NOREPLACE = 1;
const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
/** PATH_MAX: no symlink says more. */
const target = Buffer.alloc(4096);

function rename(from: Place, to: Place, flags: number): void {
  const done = libc().renameat2(from.folder.fd, cString(from.name), to.folder.fd, cString(to.name), flags);
  if (done < 0) fail('renameat2', to.name);
}
