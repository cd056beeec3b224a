import { constants, lstatSync } from 'node:fs';
import { fail, libc } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';

/** What getdents64(2) tells of a name, without looking at the inode. */
export interface FolderItem {
  readonly name: Buffer;
  readonly inode: number;
  readonly kind: 'file' | 'folder' | 'symlink' | 'other';
}

/**
 * Reads on in an open folder: some of its names, in the file system's own order, `.` and `..` left out. Undefined at the
 * end. The names stay good. Unlike `listDirectory` it holds one reading at a time, however many names there are.
 *
 * @param maxBytes - of one reading, as the kernel writes it; in memory it takes about six times as much
 * @throws LibcError
 */
export function readNames(folder: FolderHandle, maxBytes: number = scratch.length): FolderItem[] | undefined {
  const number = GETDENTS64[process.arch];
  if (number === undefined) throw new Error(`getdents64 has no number on ${process.arch}`);
  const lengthBytes = libc().getdents64(number, folder.fd, scratch, Math.min(maxBytes, scratch.length));
  if (lengthBytes < 0) fail('getdents64');
  if (lengthBytes === 0) return undefined;
  // One copy for all the names of this reading; each is a window on it.
  const bytes = Buffer.from(scratch.subarray(0, lengthBytes));
  const items: FolderItem[] = [];
  for (let at = 0; at < lengthBytes; at += bytes.readUInt16LE(at + RECORD_LENGTH_AT)) {
    const start = at + NAME_AT;
    const name = bytes.subarray(start, bytes.indexOf(0, start));
    if (isDots(name)) continue;
    // Numbers up to 2^53 are exact; no file system has that many inodes.
    const inode = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
    items.push({ name, inode, kind: KINDS.get(bytes[at + TYPE_AT] ?? 0) ?? kindOf(folder, name) });
  }
  return items;
}

const GETDENTS64: Partial<Record<NodeJS.Architecture, number>> = { x64: 217, arm64: 61 };
const scratch = Buffer.alloc(65_536);
/** `struct linux_dirent64`: u64 inode, i64 offset, u16 length of the record, u8 type, name with NUL. */
const RECORD_LENGTH_AT = 16;
const TYPE_AT = 18;
const NAME_AT = 19;
const DOT = 0x2e;
const KINDS: ReadonlyMap<number, FolderItem['kind']> = new Map([
  [8, 'file'],
  [4, 'folder'],
  [10, 'symlink'],
  [1, 'other'],
  [2, 'other'],
  [6, 'other'],
  [12, 'other'],
]);

function isDots(name: Buffer): boolean {
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}

/** For the file systems that keep no types in folders. */
function kindOf(folder: FolderHandle, name: Buffer): FolderItem['kind'] {
  const stat = lstatSync(folder.at(name), { throwIfNoEntry: false });
  switch ((stat?.mode ?? 0) & constants.S_IFMT) {
    case constants.S_IFREG:
      return 'file';
    case constants.S_IFDIR:
      return 'folder';
    case constants.S_IFLNK:
      return 'symlink';
    default:
      return 'other';
  }
}
