import { cString, fail, libc } from './libc.ts';

/**
 * The names of all extended attributes of the path itself (a symlink is not followed), unsorted, POSIX ACLs among them. What XFS
 * keeps these in is left out, as by attr(5)'s xattr.conf: it says the same in its own way, and means nothing anywhere else.
 *
 * @param path - absolute bytes
 * @throws LibcError `ENOTSUP` where the file system has none
 */
export function listXattrs(path: Buffer): Buffer[] {
  return listXattrsOf(cString(path));
}

/** Like `listXattrs`, of an open file, or of a path that already ends in NUL. */
export function listXattrsOf(file: number | Buffer): Buffer[] {
  return listBy(list, file);
}

/** Like `listXattrs`, but of what a symlink leads to: for `/proc/self/fd/N` of what was pinned. */
export function listXattrsThrough(path: Buffer): Buffer[] {
  return listBy((file) => libc().listxattr(file, names, names.length), cString(path));
}

function listBy<File extends number | Buffer>(call: (file: File) => number, file: File): Buffer[] {
  let lengthBytes = call(file);
  if (lengthBytes === 0) return [];
  if (lengthBytes < 0 && libc().errno() === ERANGE) {
    // The kernel's own limit is 64 KiB, which the scratch buffer holds; more is a file system's own idea.
    names = Buffer.alloc(names.length * 4);
    lengthBytes = call(file);
  }
  if (lengthBytes < 0) fail('llistxattr', shown(file));
  const found: Buffer[] = [];
  for (let start = 0; start < lengthBytes;) {
    const end = names.indexOf(0, start);
    const name = names.subarray(start, end);
    if (!isAclOfXfs(name)) found.push(Buffer.from(name));
    start = end + 1;
  }
  return found;
}

/** The value, or undefined if there is no such attribute (any more). @throws LibcError */
export function getXattr(path: Buffer, name: Uint8Array | string): Buffer | undefined {
  return getXattrOf(cString(path), name);
}

/** Like `getXattr`, of an open file, or of a path that already ends in NUL. */
export function getXattrOf(file: number | Buffer, name: Uint8Array | string): Buffer | undefined {
  const lengthBytes =
    typeof file === 'number'
      ? libc().fgetxattr(file, cString(name), value, value.length)
      : libc().lgetxattr(file, cString(name), value, value.length);
  if (lengthBytes >= 0) return Buffer.from(value.subarray(0, lengthBytes));
  if (libc().errno() === ENODATA) return undefined;
  return fail('lgetxattr', shown(file));
}

/** Creates or replaces an attribute. @throws LibcError */
export function setXattr(path: Buffer, { name, value }: { name: Uint8Array | string; value: Buffer }): void {
  if (libc().lsetxattr(cString(path), cString(name), value, value.length, 0) < 0) fail('lsetxattr', path);
}

/** Like `setXattr`, but of what a symlink leads to. @throws LibcError */
export function setXattrThrough(
  path: Buffer,
  { name, value }: { name: Uint8Array | string; value: Buffer },
): void {
  if (libc().setxattr(cString(path), cString(name), value, value.length, 0) < 0) fail('setxattr', path);
}

/** Like `setXattr`, of an open file. @throws LibcError `ENOTSUP` where the file system has none */
export function setXattrOf(fd: number, { name, value }: { name: Uint8Array | string; value: Buffer }): void {
  if (libc().fsetxattr(fd, cString(name), value, value.length, 0) < 0) fail('fsetxattr');
}

/** Removes an attribute of what the path leads to; that it was not there is no failure. @throws LibcError */
export function removeXattrThrough(path: Buffer, name: Uint8Array | string): void {
  if (libc().removexattr(cString(path), cString(name)) >= 0) return;
  if (libc().errno() !== ENODATA) fail('removexattr', path);
}

/** Like `removeXattrThrough`, of an open file. @throws LibcError */
export function removeXattrOf(fd: number, name: Uint8Array | string): void {
  if (libc().fremovexattr(fd, cString(name)) >= 0) return;
  if (libc().errno() !== ENODATA) fail('fremovexattr');
}

const ERANGE = 34;
const ENODATA = 61;
/** XATTR_LIST_MAX and XATTR_SIZE_MAX of the kernel. */
let names = Buffer.alloc(65_536);
const value = Buffer.alloc(65_536);

const ACLS_OF_XFS = ['trusted.SGI_ACL_FILE', 'trusted.SGI_ACL_DEFAULT'].map((name) => Buffer.from(name));

function isAclOfXfs(name: Buffer): boolean {
  return ACLS_OF_XFS.some((other) => other.equals(name));
}

function list(file: number | Buffer): number {
  return typeof file === 'number'
    ? libc().flistxattr(file, names, names.length)
    : libc().llistxattr(file, names, names.length);
}

function shown(file: number | Buffer): Buffer | undefined {
  return typeof file === 'number' ? undefined : file.subarray(0, file.indexOf(0));
}
