import { dropFromCache, getXattrOf, hasCode, nextData, openAt } from '@bakker/linux';
import { createHash, hash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
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

/** How long a file may be read. */
export interface Patience {
  readonly signal: AbortSignal;
  /** Asked now and then. @param isMostlyHole - of what was passed, most is nothing that anybody stored */
  readonly goesOn: (isMostlyHole: boolean) => boolean;
}

/**
 * Reads a stored file from the disk and compares it.
 *
 * @throws LibcError for what is no fault of the file; the signal's reason
 */
export async function checkFile(
  { folder, name, inode }: TreeEntry,
  noted: NotedPort,
  patience: Patience,
): Promise<CheckedFile> {
  let fd: number;
  try {
    fd = open(folder, name);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP')) return { outcome: 'gone', sizeBytes: 0 };
    if (hasCode(error, ...DISK_FAULTS)) return { outcome: { inode, sha256: '', found: null }, sizeBytes: 0 };
    throw error;
  }
  try {
    return await check(fd, { inode, noted, patience });
  } finally {
    closeSync(fd);
  }
}

/**
 * SHA-256 of a file's bytes as they are on the disk; null if they can't be read, undefined if it took too long. Holes are
 * hashed without reading, which takes its time, too: a file may be of petabytes and take no block.
 *
 * @throws LibcError, errno errors; the signal's reason
 */
export async function hashFromDisk(
  fd: number,
  sizeBytes: number,
  patience: Patience,
): Promise<Buffer | null | undefined> {
  dropFromCache(fd);
  try {
    if (sizeBytes <= scratch.length) {
      const length = readUpTo(fd, 0, scratch.length);
      // Longer than it says: the rest is read, too.
      if (length < scratch.length) return hash('sha256', scratch.subarray(0, length), 'buffer');
    }
    return await new PatientHash(patience).file(fd, sizeBytes);
  } catch (error) {
    if (hasCode(error, ...DISK_FAULTS)) return null;
    throw error;
  } finally {
    dropFromCache(fd);
  }
}

/** Hashes a large file piece by piece, and lets others have their turn in between. */
class PatientHash {
  readonly #patience: Patience;
  readonly #sum: Hash = createHash('sha256');
  #dataBytes = 0;
  #holeBytes = 0;
  #doneThisTurn = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /** Undefined if it was given up. */
  async file(fd: number, sizeBytes: number): Promise<Buffer | undefined> {
    for (let at = 0; at < sizeBytes;) {
      const data = nextData(fd, at, sizeBytes);
      const start = data?.offsetBytes ?? sizeBytes;
      if (!(await this.#hole(start - at))) return undefined;
      at = start;
      if (data === undefined) break;
      const end = start + data.lengthBytes;
      while (at < end) {
        const wanted = Math.min(scratch.length, end - at);
        const length = readUpTo(fd, at, wanted);
        at += length;
        if (!(await this.#data(length))) return undefined;
        if (length < wanted) return this.#sum.digest(); // shorter than it says
      }
    }
    for (let at = sizeBytes; ;) {
      const length = readUpTo(fd, at, scratch.length);
      at += length;
      if (!(await this.#data(length))) return undefined;
      if (length < scratch.length) return this.#sum.digest();
    }
  }

  async #hole(lengthBytes: number): Promise<boolean> {
    for (let left = lengthBytes; left > 0; left -= ZEROS.length) {
      const length = Math.min(left, ZEROS.length);
      this.#sum.update(ZEROS.subarray(0, length));
      this.#holeBytes += length;
      if (!(await this.#did(length))) return false;
    }
    return true;
  }

  /** @param length - of what is in the scratch buffer */
  async #data(length: number): Promise<boolean> {
    this.#sum.update(scratch.subarray(0, length));
    this.#dataBytes += length;
    return await this.#did(length);
  }

  /** False if it is to be given up. */
  async #did(length: number): Promise<boolean> {
    this.#doneThisTurn += length + PIECE_COST_BYTES;
    if (this.#doneThisTurn < BYTES_A_TURN) return true;
    this.#doneThisTurn = 0;
    await nextTurn();
    const { signal, goesOn } = this.#patience;
    signal.throwIfAborted();
    return goesOn(this.#holeBytes > this.#dataBytes);
  }
}

/** What a disk answers for a sector, and a file system for its own records, that can't be read. */
const DISK_FAULTS = ['EIO', 'EUCLEAN', 'EBADMSG', 'EILSEQ', 'EFSCORRUPTED', 'EREMOTEIO', 'EHWPOISON'];
const SUM_BYTES = 32;
const O_NOATIME = 0o1000000;
/** Half a second of a slow disk. */
const BYTES_A_TURN = 64 * 1024 * 1024;
/** As long as the calls for a piece take, whatever its length. */
const PIECE_COST_BYTES = 16 * 1024;
const scratch = Buffer.alloc(1 << 20);
const ZEROS = Buffer.alloc(1 << 20);

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

async function check(
  fd: number,
  { inode, noted, patience }: { inode: number; noted: NotedPort; patience: Patience },
): Promise<CheckedFile> {
  const stat = fstatSync(fd, { bigint: true });
  const sizeBytes = Number(stat.size);
  if (Number(stat.ino) !== inode || !stat.isFile()) return { outcome: 'gone', sizeBytes };
  const found = await hashFromDisk(fd, sizeBytes, patience);
  if (found === undefined) return { outcome: 'given-up', sizeBytes };
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

/** Reads so many bytes from `at` into the scratch buffer; fewer only at the end of the file. */
function readUpTo(fd: number, at: number, wantedBytes: number): number {
  let done = 0;
  while (done < wantedBytes) {
    const length = readSync(fd, scratch, done, wantedBytes - done, at + done);
    if (length === 0) break;
    done += length;
  }
  return done;
}
