import { AT_FDCWD, AT_SYMLINK_FOLLOW, LibcError, cString, fail, libc } from './libc.ts';

/** Nodes that are neither files, folders nor symlinks. */
export type NodeType = 'fifo' | 'socket' | 'char' | 'block';

export interface NewNode {
  readonly type: NodeType;
  /** Permission bits; the process's umask is taken off. */
  readonly mode: number;
  /** For `char` and `block`. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Makes a fifo, a socket's name or a device node. @throws LibcError `EPERM` for devices without root, `EEXIST` */
export function makeNode(path: Buffer, { type, mode, device }: NewNode): void {
  const kernelDevice = device === undefined ? 0 : deviceNumber(device);
  const number = MKNODAT[process.arch];
  if (number === undefined) throw new LibcError('mknodat', ENOSYS, path);
  if (libc().mknodat(number, AT_FDCWD, cString(path), TYPE_BITS[type] | mode, kernelDevice) < 0)
    fail('mknodat', path);
}

/** `st_rdev` (or `st_dev`) as Node and libc show it, taken apart as gnu_dev_major(3) does. */
export function splitDevice(device: bigint): { major: number; minor: number } {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}

/** Renames only if nothing has the new name. @throws LibcError `EEXIST` if something has */
export function renameNoReplace(from: Buffer, to: Buffer): void {
  if (libc().renameat2(AT_FDCWD, cString(from), AT_FDCWD, cString(to), RENAME_NOREPLACE) < 0)
    fail('renameat2', to);
}

/** Gives an open file (made with O_TMPFILE) a name. @throws LibcError `EEXIST` */
export function linkOpenFile(fd: number, path: Buffer): void {
  const open = cString(`/proc/self/fd/${fd}`);
  if (libc().linkat(AT_FDCWD, open, AT_FDCWD, cString(path), AT_SYMLINK_FOLLOW) < 0) fail('linkat', path);
}

const ENOSYS = 38;
const RENAME_NOREPLACE = 1;
const MKNODAT: Partial<Record<NodeJS.Architecture, number>> = { x64: 259, arm64: 33 };
const TYPE_BITS = { fifo: 0o010000, char: 0o020000, block: 0o060000, socket: 0o140000 } as const;

/** As the kernel takes it: 12 bits of major, 20 bits of minor around them. */
function deviceNumber({ major, minor }: { readonly major: number; readonly minor: number }): number {
  return (((minor & ~0xff) << 12) | (major << 8) | (minor & 0xff)) >>> 0;
}
