import { openAt, unlinkAt } from '@bakker/linux';
import type { Place } from '@bakker/linux';
import type { Attributes } from '@bakker/sftp/server';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, ftruncateSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StorageError } from '../../errors.ts';
import type { NewFile, NewLargeFile } from '../../ports/account.ts';
import type { SpaceGuard } from '../../ports/space-guard.ts';
import { NEW_FILE, readFully, writeAll } from './steps.ts';
import { seal } from './store-file.ts';

/** What a large file asks of the run that it is for. */
export interface LargeFileOptions {
  /** Where it lies; looked up anew whenever it is needed, for folders are not held open for a file. */
  readonly place: () => Place;
  readonly space: SpaceGuard;
  /** Aborts when the client has gone: a file may say that it is terabytes long. */
  readonly signal: AbortSignal;
  /** Told once, when the file is done. */
  readonly finished: (sizeBytes: number) => void;
}

/** A new file that is filled by many writes. Its SHA-256 is computed on the way as long as they rise, else at the end. */
export class LargeFile implements NewLargeFile {
  readonly #options: LargeFileOptions;
  readonly #fd: number;
  #hash = createHash('sha256');
  /** All before was written, or is a hole, and is in the hash; undefined if the hash has to be made of what is stored. */
  #hashedBytes: number | undefined = 0;
  #endBytes = 0;
  #state: 'open' | 'finishing' | 'closed' = 'open';

  /** @throws errno errors: `EEXIST`, `ENOSPC` */
  constructor(options: LargeFileOptions) {
    this.#options = options;
    this.#fd = openAt(options.place(), { flags: NEW_FILE, mode: 0o600 });
  }

  write(offsetBytes: number, bytes: Buffer): void {
    this.#checkOpen();
    this.#options.space.check(bytes.length);
    writeAll(this.#fd, bytes, offsetBytes);
    this.#options.space.used(bytes.length, 0);
    this.#endBytes = Math.max(this.#endBytes, offsetBytes + bytes.length);
    if (this.#hashedBytes === undefined) return;
    if (offsetBytes < this.#hashedBytes || !this.#hashZeros(offsetBytes)) {
      this.#hashedBytes = undefined;
      return;
    }
    this.#hash.update(bytes);
    this.#hashedBytes = offsetBytes + bytes.length;
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
    ftruncateSync(this.#fd, 0);
    this.#hash = createHash('sha256');
    this.#hashedBytes = 0;
    this.#endBytes = 0;
  }

  discard(): void {
    if (this.#state === 'closed') return;
    this.#close();
    unlinkAt(this.#options.place());
  }

  async finish(sizeBytes: number, about: NewFile): Promise<Buffer> {
    this.#checkOpen();
    this.#state = 'finishing';
    try {
      // Beyond the last write there are only zeros, without a block of their own.
      if (sizeBytes !== this.#endBytes) ftruncateSync(this.#fd, sizeBytes);
      const isHashed =
        this.#hashedBytes !== undefined && this.#hashedBytes <= sizeBytes && this.#hashZeros(sizeBytes);
      // Should the rest fail, another attempt has to hash what is stored: a hash gives its digest once.
      this.#hashedBytes = undefined;
      const digest = isHashed ? this.#hash.digest() : await this.#hashStored(sizeBytes);
      seal(this.#fd, digest, about);
      this.#close();
      this.#options.finished(sizeBytes);
      return digest;
    } catch (error) {
      if (this.#state === 'finishing') this.#state = 'open';
      throw error;
    }
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

  async #hashStored(sizeBytes: number): Promise<Buffer> {
    const stored = createHash('sha256');
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(sizeBytes, 1)));
    for (let offsetBytes = 0; offsetBytes < sizeBytes;) {
      const lengthBytes = Math.min(piece.length, sizeBytes - offsetBytes);
      const read = readFully(this.#fd, piece.subarray(0, lengthBytes), offsetBytes);
      if (read < lengthBytes) throw new StorageError('FAILED', 'the file became shorter while it was stored');
      stored.update(piece.subarray(0, read));
      offsetBytes += read;
      await nextTurn();
      if (this.#options.signal.aborted) throw new StorageError('INTERRUPTED', 'the client has gone');
      if (this.#state === 'closed') throw new StorageError('OUT_OF_ORDER', 'the file was discarded');
    }
    return stored.digest();
  }

  #checkOpen(): void {
    if (this.#state !== 'open') throw new StorageError('OUT_OF_ORDER', 'the file is finished');
  }

  #close(): void {
    this.#state = 'closed';
    closeSync(this.#fd);
  }
}

const ZEROS = Buffer.alloc(64 * 1024);
/** About 10 ms of hashing. */
const MAX_ZERO_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 4 * 1024 * 1024;
