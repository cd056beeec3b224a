import { closeSync, read } from 'node:fs';
import { promisify } from 'node:util';
import type { Entry } from '@bakker/impl-format';
import type { HashedPieces, OpenSourceFile, SourcePiece, WholeFile } from '../../ports/source-tree.ts';
import { dataExtents, hasCode, LibcError } from '@bakker/linux';
import type { FolderHandle, NameService } from '@bakker/linux';
import type { ContentPool } from './content-pool.ts';
import { describe, readAttributes, type Details } from './describe.ts';
import { hashOnThread } from './hash-threads.ts';
import { statOpen, type FileStat } from './file-stat.ts';
import type { FilesystemTable } from './filesystem-table.ts';
import { openForReading, readContent, rethrow } from './open-for-reading.ts';

export interface ReadPorts {
  /** `/`, held open. */
  readonly root: FolderHandle;
  readonly filesystems: FilesystemTable | undefined;
  readonly names: NameService;
  readonly pool: ContentPool;
}

/** Times of reading before a file that never holds still is kept as it was read. */
const ATTEMPTS = 4;
/** A file that grew beyond this since the scan is no small one any more. */
const MAX_WHOLE_BYTES = 64 * 1024 * 1024;
/** A file written so shortly before may be written again within the same tick of the clock: its times would not tell. */
const RACY_NS = 2_000_000_000n;
const PIECE_BYTES = 1024 * 1024;
/** Pieces that are hashed while the one before them is looked at or sent. */
const PIECES_AHEAD = 3;

/** Reads a file whole, again if it changed meanwhile. @throws errno error; ESTALE if it is no file any more */
export function readWhole(entry: Entry, ports: ReadPorts): WholeFile {
  for (let attempt = 1; ; attempt++) {
    const fd = openForReading(entry.path, ports.root);
    try {
      const before = statFile(fd, entry);
      if (before.sizeBytes > Math.max(MAX_WHOLE_BYTES, entry.sizeBytes))
        throw new LibcError('read', EFBIG, entry.path);
      const isRacy = changedJustNow(before);
      const content = readContent(fd, ports.pool.take(before.sizeBytes));
      const isSettled = content.length === before.sizeBytes && isSame(before, statFile(fd, entry));
      if (!isSettled && attempt < ATTEMPTS) {
        ports.pool.give(content);
        continue;
      }
      const current = refresh(entry, { fd, stat: before, ports });
      const isUnsettled = isRacy || !isSettled;
      const read =
        content.length === current.sizeBytes
          ? current
          : { ...withoutExtents(current), sizeBytes: content.length };
      return { entry: isUnsettled ? { ...read, unsettled: true } : read, content, isChanging: !isSettled };
    } finally {
      closeSync(fd);
    }
  }
}

/** Opens a large file; its entry is as of now. @throws errno error; ESTALE if it is no file any more */
export function openFile(entry: Entry, ports: ReadPorts): OpenSourceFile {
  const fd = openForReading(entry.path, ports.root);
  try {
    const stat = statFile(fd, entry);
    const current = refresh(entry, { fd, stat, ports });
    return new HeldFile(fd, stat, changedJustNow(stat) ? { ...current, unsettled: true } : current);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

class HeldFile implements OpenSourceFile {
  readonly entry: Entry;
  readonly descriptor: number;
  readonly #stat: FileStat;
  #reading: Promise<unknown> = Promise.resolve();
  #isOpen = true;

  constructor(fd: number, stat: FileStat, entry: Entry) {
    this.descriptor = fd;
    this.#stat = stat;
    this.entry = entry;
  }

  async *pieces(from = this.descriptor): AsyncGenerator<SourcePiece> {
    const { extents = [{ offsetBytes: 0, lengthBytes: this.entry.sizeBytes }] } = this.entry;
    for (const extent of extents) {
      const end = extent.offsetBytes + extent.lengthBytes;
      for (let offsetBytes = extent.offsetBytes; offsetBytes < end;) {
        const wantedBytes = Math.min(PIECE_BYTES, end - offsetBytes);
        const reading = readAsync(from, Buffer.allocUnsafeSlow(wantedBytes), 0, wantedBytes, offsetBytes);
        this.#reading = reading;
        const { bytesRead, buffer } = await reading.catch(rethrow);
        if (bytesRead === 0) return; // cut off meanwhile: `isUnchanged` says so
        yield { offsetBytes, lengthBytes: bytesRead, bytes: buffer.subarray(0, bytesRead) };
        offsetBytes += bytesRead;
      }
    }
  }

  hashed(from?: number): HashedPieces {
    const hash = hashOnThread();
    const read = this.pieces(from);
    return {
      pieces: async function* () {
        const ahead: Promise<SourcePiece>[] = [];
        for await (const { offsetBytes, lengthBytes, bytes } of read) {
          const hashed = hash.update(offsetBytes, bytes);
          ahead.push(hashed.then((back) => ({ offsetBytes, lengthBytes, bytes: back })));
          const first = ahead.length > PIECES_AHEAD ? ahead.shift() : undefined;
          if (first) yield await first;
        }
        for (const piece of ahead) yield await piece;
      },
      sha256: (sizeBytes) => hash.finish(sizeBytes),
      [Symbol.dispose]: () => {
        hash.giveUp();
      },
    };
  }

  isUnchanged(): boolean {
    const now = statOpen(this.descriptor);
    return typeof now !== 'number' && isSame(this.#stat, now);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#reading.catch(() => undefined); // its descriptor must not be closed, and used anew, under a read
    closeSync(this.descriptor);
  }
}

const EFBIG = 27;
const EIO = 5;
const ESTALE = 116;
const readAsync = promisify(read) as (
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
) => Promise<{ bytesRead: number; buffer: Buffer }>;

function statFile(fd: number, entry: Entry): FileStat {
  const stat = statOpen(fd);
  if (typeof stat === 'number') throw new LibcError('statx', stat === 0 ? EIO : stat, entry.path);
  if (stat.type !== 'file') throw new LibcError('open', ESTALE, entry.path);
  return stat;
}

/** The same entry if it still says the truth, else a new one. */
function refresh(entry: Entry, { fd, stat, ports }: { fd: number; stat: FileStat; ports: ReadPorts }): Entry {
  const { filesystem, inode } = ports.filesystems?.identity(stat.device, stat.inode) ?? {
    filesystem: entry.filesystem,
    inode: stat.inode,
  };
  const isCurrent =
    entry.type === 'file' &&
    entry.sizeBytes === stat.sizeBytes &&
    entry.mtimeNs === stat.mtimeNs &&
    entry.ctimeNs === stat.ctimeNs &&
    entry.inode === inode;
  if (isCurrent) return entry;
  const extents = stat.allocatedBytes < stat.sizeBytes ? dataExtents(fd, stat.sizeBytes) : undefined;
  const details = { ...attributesOf(fd, ports.names), ...(extents === undefined ? undefined : { extents }) };
  return describe(entry.path, stat, { identity: { filesystem, inode }, details, names: ports.names });
}

function attributesOf(fd: number, names: NameService): Details {
  try {
    return readAttributes(fd, names);
  } catch (error) {
    if (hasCode(error, 'ENOTSUP')) return {};
    if (hasCode(error, 'E2BIG')) return { unsettled: true }; // grown since the scan: the next one says so
    throw error;
  }
}

function withoutExtents({ extents: _, ...entry }: Entry): Entry {
  return entry;
}

function isSame(a: FileStat, b: FileStat): boolean {
  return a.sizeBytes === b.sizeBytes && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

export function changedJustNow(stat: Pick<FileStat, 'ctimeNs'>): boolean {
  return stat.ctimeNs > BigInt(Date.now()) * 1_000_000n - RACY_NS;
}
