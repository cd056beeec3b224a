import { dropFromCache, getXattrOf, hasCode, openAt } from '@bakker/linux';
import { createHash, hash } from 'node:crypto';
import { closeSync, constants, fstatSync, readSync } from 'node:fs';
import type { CheckOutcome } from '../../ports/stored-content.ts';
import type { NotedSum, NotedSums } from '../../scrub/noted-sums.ts';
import type { TreeEntry } from './walk-tree.ts';

/** The SHA-256 of its content (32 bytes), given to a file when it was stored. */
const CHECKSUM_XATTR = 'user.bakker.sha256';

export interface CheckedFile {
  readonly outcome: CheckOutcome;
  readonly sizeBytes: number;
}

export interface NotedPort {
  readonly sums: NotedSums;
  /** Remembers the sum of a file that has none. */
  note(sum: NotedSum): void;
}

/** Reads a stored file from the disk and compares it. @throws LibcError for what is no fault of the file */
export function checkFile({ folder, name, inode }: TreeEntry, noted: NotedPort): CheckedFile {
  let fd: number;
  try {
    fd = open(folder, name);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP')) return { outcome: 'gone', sizeBytes: 0 };
    if (hasCode(error, ...DISK_FAULTS)) return { outcome: { inode, sha256: '', found: null }, sizeBytes: 0 };
    throw error;
  }
  try {
    return check(fd, inode, noted);
  } finally {
    closeSync(fd);
  }
}

/** SHA-256 of a file's bytes as they are on the disk; null if they can't be read. @throws LibcError, errno errors */
export function hashFromDisk(fd: number, sizeBytes: number): Buffer | null {
  dropFromCache(fd);
  try {
    if (sizeBytes <= scratch.length) {
      const length = readUpTo(fd, 0);
      // Longer than it says: the rest is read, too.
      if (length < scratch.length) return hash('sha256', scratch.subarray(0, length), 'buffer');
    }
    const sum = createHash('sha256');
    for (let at = 0; ;) {
      const length = readUpTo(fd, at);
      sum.update(scratch.subarray(0, length));
      at += length;
      if (length < scratch.length) return sum.digest();
    }
  } catch (error) {
    if (hasCode(error, ...DISK_FAULTS)) return null;
    throw error;
  } finally {
    dropFromCache(fd);
  }
}

/** What a disk answers for a sector, and a file system for its own records, that can't be read. */
const DISK_FAULTS = ['EIO', 'EUCLEAN', 'EBADMSG', 'EILSEQ', 'EFSCORRUPTED', 'EREMOTEIO', 'EHWPOISON'];
const SUM_BYTES = 32;
const O_NOATIME = 0o1000000;
const scratch = Buffer.alloc(1 << 20);

function open(folder: TreeEntry['folder'], name: Buffer): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  try {
    // A scrub is no use of the file, and noting it would write to every inode.
    return openAt({ folder, name }, { flags: flags | O_NOATIME });
  } catch (error) {
    if (!hasCode(error, 'EPERM')) throw error;
    return openAt({ folder, name }, { flags });
  }
}

function check(fd: number, inode: number, noted: NotedPort): CheckedFile {
  const stat = fstatSync(fd, { bigint: true });
  const sizeBytes = Number(stat.size);
  if (Number(stat.ino) !== inode || !stat.isFile()) return { outcome: 'gone', sizeBytes };
  const found = hashFromDisk(fd, sizeBytes);
  const about = { inode, sizeBytes, mtimeNs: stat.mtimeNs };
  const expected = storedSum(fd) ?? noted.sums.find(about);
  if (expected !== undefined) {
    if (found?.equals(expected) === true) return { outcome: 'good', sizeBytes };
    return {
      outcome: { inode, sha256: expected.toString('hex'), found: found?.toString('hex') ?? null },
      sizeBytes,
    };
  }
  if (found === null) return { outcome: { inode, sha256: '', found: null }, sizeBytes };
  noted.note({ ...about, sha256: found });
  return { outcome: 'noted', sizeBytes };
}

function storedSum(fd: number): Buffer | undefined {
  try {
    const sum = getXattrOf(fd, CHECKSUM_XATTR);
    return sum?.length === SUM_BYTES ? sum : undefined;
  } catch (error) {
    // A file system without attributes, or one whose attributes are hurt: what was noted has to do.
    if (hasCode(error, 'ENOTSUP', ...DISK_FAULTS)) return undefined;
    throw error;
  }
}

/** Fills the scratch buffer from `at`; less only at the end of the file. */
function readUpTo(fd: number, at: number): number {
  let done = 0;
  while (done < scratch.length) {
    const length = readSync(fd, scratch, done, scratch.length - done, at + done);
    if (length === 0) break;
    done += length;
  }
  return done;
}
