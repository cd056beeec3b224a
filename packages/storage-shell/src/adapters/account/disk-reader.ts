import type { RunName } from '@bakker/impl-format/storage';
import type { FolderHandle } from '@bakker/linux';
import { O_PATH, cString, fail, libc, openBeneath, openFolderBeneath } from '@bakker/linux';
import type { Attributes, FileSystemStatus, NamedItem } from '@bakker/sftp/server';
import { closeSync, constants, fstatSync, lstatSync, statfsSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { AccountReader, OpenFile, OpenFolder } from '../../ports/account.ts';
import { readNames } from '../runs/read-names.ts';
import type { FolderItem } from '../runs/read-names.ts';
import { latestRun } from './look.ts';
import { readFully } from './steps.ts';

const ITSELF = Buffer.from('.');

/** Reads below one folder, by handles, following no symlink. */
export class DiskReader implements AccountReader {
  readonly #account: FolderHandle;

  constructor(account: FolderHandle) {
    this.#account = account;
  }

  latest(): RunName | undefined {
    return latestRun(this.#account);
  }

  attributes(path: Buffer): Attributes {
    const fd = this.#open(path, O_PATH);
    try {
      return attributesOf(fstatSync(fd));
    } finally {
      closeSync(fd);
    }
  }

  readlink(path: Buffer): Buffer {
    const fd = this.#open(path, O_PATH);
    try {
      const target = Buffer.alloc(MAX_TARGET_BYTES);
      const lengthBytes = libc().readlinkat(fd, cString(''), target, target.length);
      if (lengthBytes >= 0) return target.subarray(0, lengthBytes);
      // An empty path on a handle that is no symlink.
      if (libc().errno() === ENOENT) throw new StorageError('FAILED', 'it is no symlink');
      return fail('readlinkat', path);
    } finally {
      closeSync(fd);
    }
  }

  openFile(path: Buffer): OpenFile {
    return new DiskFile(this.#openToRead(path));
  }

  openFolder(path: Buffer): OpenFolder {
    return new DiskFolder(openFolderBeneath(this.#account, path));
  }

  get(path: Buffer, maxBytes: number): Buffer {
    const file = this.openFile(path);
    try {
      const bytes = file.read(0, maxBytes + 1);
      if (bytes.length <= maxBytes) return bytes;
      throw new StorageError('FAILED', `the file is longer than ${maxBytes} bytes: open it and read`);
    } finally {
      file.close();
    }
  }

  getInto(path: Buffer, room: Buffer): number | undefined {
    const fd = this.#openToRead(path);
    try {
      const { size } = statOfFile(fd);
      return size > room.length ? undefined : readFully(fd, room.subarray(0, size), 0);
    } finally {
      closeSync(fd);
    }
  }

  fileSystem(): FileSystemStatus {
    const found = statfsSync(this.#account.at(ITSELF));
    return {
      blockSizeBytes: found.bsize,
      fragmentSizeBytes: found.bsize,
      blocks: found.blocks,
      freeBlocks: found.bfree,
      availableBlocks: found.bavail,
      inodes: found.files,
      freeInodes: found.ffree,
      availableInodes: found.ffree,
      fileSystemId: 0n,
      readOnly: false,
      noSetuid: true,
      maxNameBytes: MAX_NAME_BYTES,
    };
  }

  /** Should a fifo lie there, nobody waits for its writer. */
  #openToRead(path: Buffer): number {
    return this.#open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  #open(path: Buffer, flags: number): number {
    return openBeneath(this.#account, path.length === 0 ? ITSELF : path, { flags });
  }
}

const MAX_TARGET_BYTES = 4096;
const MAX_NAME_BYTES = 255;
const READING_BYTES = 4096;
const ENOENT = 2;

class DiskFile implements OpenFile {
  readonly #fd: number;
  #sizeBytes: number;

  /** Closes the descriptor if it is none of a file. */
  constructor(fd: number) {
    this.#fd = fd;
    try {
      this.#sizeBytes = statOfFile(fd).size;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  attributes(): Attributes {
    return attributesOf(fstatSync(this.#fd));
  }

  read(offsetBytes: number, lengthBytes: number): Buffer {
    // A file of an unfinished run may have grown since it was opened.
    if (offsetBytes + lengthBytes > this.#sizeBytes) this.#sizeBytes = fstatSync(this.#fd).size;
    const wantedBytes = Math.max(0, Math.min(lengthBytes, this.#sizeBytes - offsetBytes));
    const bytes = Buffer.allocUnsafe(wantedBytes);
    return bytes.subarray(0, readFully(this.#fd, bytes, offsetBytes));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Holds the names of one reading of the folder: few, for a session may have a thousand folders open. */
class DiskFolder implements OpenFolder {
  readonly #folder: FolderHandle;
  #items: readonly FolderItem[] = [];
  #next = 0;
  #isAtEnd = false;
  #dots = [Buffer.from('.'), Buffer.from('..')];

  constructor(folder: FolderHandle) {
    this.#folder = folder;
  }

  attributes(): Attributes {
    return attributesOf(fstatSync(this.#folder.fd));
  }

  next(count: number, isListed: (name: Buffer) => boolean): NamedItem[] | undefined {
    const named: NamedItem[] = [];
    // Clients expect both, and nothing is told of what is above.
    for (const name of this.#dots) named.push({ name, attributes: this.attributes() });
    this.#dots = [];
    while (named.length < count && !this.#isAtEnd) {
      const item = this.#items[this.#next++];
      if (item === undefined) {
        const items = readNames(this.#folder, READING_BYTES);
        this.#isAtEnd = items === undefined;
        this.#items = items ?? [];
        this.#next = 0;
        continue;
      }
      if (!isListed(item.name)) continue;
      const stat = lstatSync(this.#folder.at(item.name), { throwIfNoEntry: false });
      if (stat === undefined) continue; // went meanwhile
      named.push({ name: item.name, attributes: attributesOf(stat), linkCount: stat.nlink });
    }
    return named.length === 0 ? undefined : named;
  }

  close(): void {
    this.#folder[Symbol.dispose]();
  }
}

/** @throws StorageError FAILED if it is none */
function statOfFile(fd: number): Stats {
  const stat = fstatSync(fd);
  if (stat.isFile()) return stat;
  throw new StorageError('FAILED', stat.isDirectory() ? 'it is a folder' : 'it is no file');
}

function attributesOf(stat: Stats): Attributes {
  return {
    sizeBytes: stat.size,
    permissions: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    atimeS: Math.floor(stat.atimeMs / 1000),
    mtimeS: Math.floor(stat.mtimeMs / 1000),
  };
}
