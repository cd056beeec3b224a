import type { Xattr } from '@bakker/impl-format';
import { cString, fail, libc } from './libc.ts';

/**
 * The names of all extended attributes of the path itself (a symlink is not followed), unsorted, POSIX ACLs among them.
 *
 * @param path - absolute bytes
 * @throws LibcError `ENOTSUP` where the file system has none
 */
export function listXattrs(path: Buffer): Buffer[] {
  return listXattrsOf(cString(path));
}

/** Like `listXattrs`, for a path that already ends in NUL. */
export function listXattrsOf(cPath: Buffer): Buffer[] {
  let lengthBytes = libc().llistxattr(cPath, names, names.length);
  if (lengthBytes === 0) return [];
  if (lengthBytes < 0) {
    // ERANGE: the kernel's own limit is 64 KiB, which the scratch buffer holds; more is a file system's own idea.
    if (libc().errno() !== ERANGE) fail('llistxattr', cPath.subarray(0, -1));
    names = Buffer.alloc(names.length * 4);
    lengthBytes = libc().llistxattr(cPath, names, names.length);
    if (lengthBytes < 0) fail('llistxattr', cPath.subarray(0, -1));
  }
  const found: Buffer[] = [];
  for (let start = 0; start < lengthBytes;) {
    const end = names.indexOf(0, start);
    found.push(Buffer.from(names.subarray(start, end)));
    start = end + 1;
  }
  return found;
}

/** The value, or undefined if there is no such attribute (any more). @throws LibcError */
export function getXattr(path: Buffer, name: Uint8Array | string): Buffer | undefined {
  return getXattrOf(cString(path), cString(name));
}

/** Like `getXattr`, for a path and a name that already end in NUL. */
export function getXattrOf(cPath: Buffer, cName: Buffer): Buffer | undefined {
  const lengthBytes = libc().lgetxattr(cPath, cName, value, value.length);
  if (lengthBytes >= 0) return Buffer.from(value.subarray(0, lengthBytes));
  if (libc().errno() === ENODATA) return undefined;
  return fail('lgetxattr', cPath.subarray(0, -1));
}

/** Creates or replaces an attribute. @throws LibcError */
export function setXattr(
  path: Buffer,
  { name, value }: Pick<Xattr, 'value'> & { name: Uint8Array | string },
): void {
  if (libc().lsetxattr(cString(path), cString(name), value, value.length, 0) < 0) fail('lsetxattr', path);
}

/** Removes an attribute; that it was not there is no failure. @throws LibcError */
export function removeXattr(path: Buffer, name: Uint8Array | string): void {
  if (libc().lremovexattr(cString(path), cString(name)) >= 0) return;
  if (libc().errno() !== ENODATA) fail('lremovexattr', path);
}

const ERANGE = 34;
const ENODATA = 61;
/** XATTR_LIST_MAX and XATTR_SIZE_MAX of the kernel. */
let names = Buffer.alloc(65_536);
const value = Buffer.alloc(65_536);
