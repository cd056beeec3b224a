import { baseName, parentPath } from '@bakker/impl-format/storage';
import { openFolderBeneath, unlinkAt } from '@bakker/linux';
import type { FolderHandle, Place } from '@bakker/linux';
import type { PutFile } from '../../ports/account.ts';
import { storeFile } from './store-file.ts';

const DIGEST_BYTES = 32;
/** Path: start and end; content: start and end; mtime; flags. */
const NUMBERS_A_FILE = 6;
const EXECUTABLE = 1n;
const FLUSH = 2n;

/** Says in numbers where files lie in the memory that they are views of, so that both reach another thread uncopied. */
export function packFiles(files: readonly PutFile[]): BigInt64Array {
  const table = new BigInt64Array(files.length * NUMBERS_A_FILE);
  let at = 0;
  for (const { path, content, about } of files) {
    table[at++] = BigInt(path.byteOffset);
    table[at++] = BigInt(path.byteOffset + path.length);
    table[at++] = BigInt(content.byteOffset);
    table[at++] = BigInt(content.byteOffset + content.length);
    table[at++] = about.mtimeNs;
    table[at++] = (about.isExecutable ? EXECUTABLE : 0n) | (about.flush ? FLUSH : 0n);
  }
  return table;
}

/**
 * Stores small files in folders that are there. If one fails, none stays.
 *
 * @param root - the run's folder
 * @returns their hashes, one behind the other
 * @throws errno errors
 */
export function storeFiles(
  root: FolderHandle,
  { memory, table }: { memory: ArrayBuffer; table: BigInt64Array },
): Uint8Array {
  const digests = new Uint8Array((table.length / NUMBERS_A_FILE) * DIGEST_BYTES);
  const stored: Buffer[] = [];
  using folders = new LastFolder(root);
  try {
    for (let at = 0; at < table.length; at += NUMBERS_A_FILE) {
      const { path, content, about } = unpackFile(memory, table, at);
      digests.set(storeFile(folders.placeOf(path), content, about), stored.length * DIGEST_BYTES);
      stored.push(path);
    }
    return digests;
  } catch (error) {
    for (const path of stored) unlinkAt(folders.placeOf(path));
    throw error;
  }
}

function unpackFile(memory: ArrayBuffer, table: BigInt64Array, at: number): PutFile {
  const number = (index: number): number => Number(table[at + index]);
  const flags = table[at + 5] ?? 0n;
  return {
    path: Buffer.from(memory, number(0), number(1) - number(0)),
    content: Buffer.from(memory, number(2), number(3) - number(2)),
    about: {
      mtimeNs: table[at + 4] ?? 0n,
      isExecutable: (flags & EXECUTABLE) !== 0n,
      flush: (flags & FLUSH) !== 0n,
    },
  };
}

/** Consecutive files mostly share a folder: it stays open until another one is asked for. */
class LastFolder implements Disposable {
  readonly #root: FolderHandle;
  #path: Buffer = Buffer.alloc(0);
  #open: FolderHandle | undefined;

  constructor(root: FolderHandle) {
    this.#root = root;
  }

  placeOf(path: Buffer): Place {
    return { folder: this.#at(parentPath(path)), name: baseName(path) };
  }

  #at(path: Buffer): FolderHandle {
    if (path.length === 0) return this.#root;
    if (this.#open === undefined || !path.equals(this.#path)) {
      this[Symbol.dispose]();
      this.#open = openFolderBeneath(this.#root, path);
      this.#path = path;
    }
    return this.#open;
  }

  [Symbol.dispose](): void {
    this.#open?.[Symbol.dispose]();
    this.#open = undefined;
  }
}
