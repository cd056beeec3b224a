import { openAt, punchHole, unlinkAt } from '@bakker/linux';
import type { Place } from '@bakker/linux';
import type { Attributes } from '@bakker/sftp/server';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, ftruncateSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { NewFile, NewLargeFile } from '../../ports/account.ts';
import type { SpaceGuard } from '../../ports/space-guard.ts';
import type { ContentThread } from '../content/content-thread.ts';
import { StoredHash } from '../content/stored-hash.ts';
import { copyInto } from './copy-into.ts';
import type { CopySource } from './copy-into.ts';
import { FileCharge } from './file-charge.ts';
import { NEW_FILE, writeAll } from './steps.ts';
import { seal } from '../content/store-file.ts';
import { BLOCK_BYTES } from '../tree/inode-use.ts';

/** What a large file asks of the run that it is for. */
export interface LargeFileOptions {
  /** Where it lies; looked up anew whenever it is needed, for folders are not held open for a file. */
  readonly place: () => Place;
  readonly space: SpaceGuard;
  /** Reads files again to hash them. */
  readonly hasher: ContentThread;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** Told each time something was written. */
  readonly wrote: (bytes: number) => void;
  /** Told why, when something could not be written. */
  readonly refused: (error: unknown) => void;
  /** Told once, when the file is done. */
  readonly finished: (sizeBytes: number) => void;
}

/**
 * A new file that is filled by many writes. Its SHA-256 is computed on the way as long as they rise and leave no large
 * holes; else, and if it began as a copy, a thread reads what is stored.
 */
export class LargeFile implements NewLargeFile {
  readonly #options: LargeFileOptions;
  readonly #fd: number;
  readonly #charge: FileCharge;
  #hash = createHash('sha256');
  /** All before was written, or is a hole, and is in the hash; undefined if the hash has to be made of what is stored. */
  #hashedBytes: number | undefined = 0;
  /** The same of a file that began as a copy, while its writes rise. */
  #behind: StoredHash | undefined;
  /** The file that it shares blocks with. */
  #older: CopySource | undefined;
  #endBytes = 0;
  #state: 'open' | 'busy' | 'closed' = 'open';
  /** Threads that use the descriptor. */
  #inThread: Promise<unknown> | undefined;

  /** @throws errno errors: `EEXIST`, `ENOSPC` */
  constructor(options: LargeFileOptions) {
    this.#options = options;
    this.#fd = openAt(options.place(), { flags: NEW_FILE, mode: 0o600 });
    this.#charge = new FileCharge(options.space, this.#fd);
  }

  /**
   * Begins with the content of another file, which it closes. If it fails, nothing stays.
   *
   * @throws StorageError FULL, QUOTA, INTERRUPTED; errno errors
   */
  async fill(source: CopySource, copier: ContentThread): Promise<void> {
    this.#checkOpen();
    this.#state = 'busy';
    this.#hashedBytes = undefined;
    this.#older = source;
    try {
      const { signal, hasher } = this.#options;
      const target = { fd: this.#fd, charge: this.#charge };
      const { sizeBytes, isShared } = await copyInto(target, source, { copier, signal });
      this.#endBytes = sizeBytes;
      const older = isShared ? { fd: source.fd, sizeBytes } : undefined;
      this.#behind = new StoredHash({ thread: hasher, fd: this.#fd, signal, older });
      this.#state = 'open';
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  write(offsetBytes: number, bytes: Buffer): void {
    this.#checkOpen();
    this.#charged(blockBytesOf(offsetBytes, bytes.length));
    this.#changing(offsetBytes, offsetBytes + bytes.length);
    writeAll(this.#fd, bytes, offsetBytes);
    this.#options.wrote(bytes.length);
    this.#endBytes = Math.max(this.#endBytes, offsetBytes + bytes.length);
    if (this.#hashedBytes === undefined) return;
    if (offsetBytes < this.#hashedBytes || !this.#hashZeros(offsetBytes)) {
      this.#hashedBytes = undefined;
      return;
    }
    this.#hash.update(bytes);
    this.#hashedBytes = offsetBytes + bytes.length;
  }

  hole(offsetBytes: number, lengthBytes: number): void {
    this.#checkOpen();
    if (lengthBytes === 0) return;
    const endBytes = offsetBytes + lengthBytes;
    if (!Number.isSafeInteger(endBytes)) throw new StorageError('OUT_OF_ORDER', 'no file is so long');
    this.#changing(offsetBytes, endBytes);
    if (this.#hashedBytes !== undefined && offsetBytes < this.#hashedBytes) this.#hashedBytes = undefined;
    // What of its first and last block stays is written anew, where they are shared.
    this.#charged(2 * BLOCK_BYTES);
    if (!punchHole(this.#fd, { offsetBytes, lengthBytes })) {
      throw new StorageError('UNSUPPORTED', 'this file system makes no holes: write zeros');
    }
    if (endBytes > this.#endBytes) this.#truncate(endBytes);
  }

  resize(sizeBytes: number): void {
    this.#checkOpen();
    this.#changing(Math.min(sizeBytes, this.#endBytes), Infinity);
    if (this.#hashedBytes !== undefined && sizeBytes < this.#hashedBytes) this.#hashedBytes = undefined;
    this.#charged(BLOCK_BYTES);
    this.#truncate(sizeBytes);
  }

  attributes(): Attributes {
    if (this.#state === 'closed') throw new StorageError('OUT_OF_ORDER', 'the file is finished');
    const { size, mode, uid, gid, atimeMs, mtimeMs } = fstatSync(this.#fd);
    return {
      sizeBytes: size,
      permissions: mode,
      uid,
      gid,
      atimeS: Math.floor(atimeMs / 1000),
      mtimeS: Math.floor(mtimeMs / 1000),
    };
  }

  flush(): void {
    this.#checkOpen();
    fsyncSync(this.#fd);
  }

  restart(): void {
    this.#checkOpen();
    this.#changing(0, Infinity);
    this.#truncate(0);
    this.#charge.empty();
    this.#hash = createHash('sha256');
    this.#hashedBytes = 0;
  }

  discard(): void {
    if (this.#state === 'closed') return;
    unlinkAt(this.#options.place());
    this.#charge.release();
    this.#close();
  }

  async finish(sizeBytes: number, about: NewFile): Promise<Buffer> {
    this.#checkOpen();
    this.#changing(sizeBytes, Infinity);
    this.#state = 'busy';
    try {
      // Beyond the last write there are only zeros, without a block of their own.
      if (sizeBytes !== this.#endBytes) this.#truncate(sizeBytes);
      const isHashed =
        this.#hashedBytes !== undefined && this.#hashedBytes <= sizeBytes && this.#hashZeros(sizeBytes);
      // Should the rest fail, another attempt has to hash what is stored: a hash gives its digest once.
      this.#hashedBytes = undefined;
      const digest = isHashed ? this.#hash.digest() : await this.#hashStored(sizeBytes);
      if (this.#isClosed()) throw new StorageError('OUT_OF_ORDER', 'the file was discarded');
      this.#charge.settle(sizeBytes);
      seal(this.#fd, digest, about);
      this.#close();
      this.#options.finished(sizeBytes);
      return digest;
    } catch (error) {
      if (!this.#isClosed()) this.#state = 'open';
      throw error;
    }
  }

  #charged(bytes: number): void {
    try {
      this.#charge.write(bytes, this.#endBytes);
    } catch (error) {
      this.#options.refused(error);
      throw error;
    }
  }

  /** Something is about to be written there. All before it stays as it is, if it was not said before that more does. */
  #changing(offsetBytes: number, endBytes: number): void {
    const behind = this.#behind;
    if (behind === undefined) return;
    if (offsetBytes >= behind.wantedBytes) {
      behind.changing(offsetBytes, endBytes);
      behind.follow(Math.min(offsetBytes, this.#endBytes));
      return;
    }
    this.#behind = undefined;
    this.#use(behind.stop());
  }

  #hashStored(sizeBytes: number): Promise<Buffer> {
    const { hasher, signal } = this.#options;
    const stored = this.#behind ?? new StoredHash({ thread: hasher, fd: this.#fd, signal });
    // Kept so that a discard meanwhile can stop it; another attempt begins anew.
    this.#behind = stored;
    const digest = stored.digest(sizeBytes);
    this.#use(digest);
    return digest.catch((error: unknown) => {
      this.#behind = undefined;
      throw error;
    });
  }

  #truncate(sizeBytes: number): void {
    ftruncateSync(this.#fd, sizeBytes);
    this.#endBytes = sizeBytes;
  }

  /** Puts the hole up to `offsetBytes` into the hash. False if it is so large that this would keep others waiting. */
  #hashZeros(offsetBytes: number): boolean {
    let missingBytes = offsetBytes - (this.#hashedBytes ?? 0);
    if (missingBytes > MAX_ZERO_BYTES) return false;
    for (; missingBytes > 0; missingBytes -= ZEROS.length) {
      this.#hash.update(missingBytes < ZEROS.length ? ZEROS.subarray(0, missingBytes) : ZEROS);
    }
    return true;
  }

  #checkOpen(): void {
    if (this.#state !== 'open') throw new StorageError('OUT_OF_ORDER', 'the file is finished');
  }

  /** It may have been while something was waited for. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #use(inThread: Promise<unknown>): void {
    this.#inThread = Promise.allSettled([this.#inThread, inThread]);
  }

  /** A thread that reads it still must not read another file under its number. */
  #close(): void {
    this.#state = 'closed';
    if (this.#behind !== undefined) this.#use(this.#behind.stop());
    const close = (): void => {
      closeSync(this.#fd);
      this.#older?.[Symbol.dispose]();
    };
    if (this.#inThread === undefined) close();
    else void this.#inThread.then(close);
  }
}

const ZEROS = Buffer.alloc(64 * 1024);
/** About 10 ms of hashing. */
const MAX_ZERO_BYTES = 16 * 1024 * 1024;

/** A byte takes a block: who writes one here and one there must not be charged for bytes. */
function blockBytesOf(offsetBytes: number, lengthBytes: number): number {
  if (lengthBytes === 0) return 0;
  const first = Math.floor(offsetBytes / BLOCK_BYTES);
  return (Math.ceil((offsetBytes + lengthBytes) / BLOCK_BYTES) - first) * BLOCK_BYTES;
}
