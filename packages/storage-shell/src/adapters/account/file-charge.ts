import { BLOCK_UNIT_BYTES } from '@bakker/linux';
import { fstatSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { SpaceGuard } from '../../ports/space-guard.ts';
import { BLOCK_BYTES } from '../tree/inode-use.ts';

/** What one file under construction is charged for: its inode, and what is written; in the end what it really takes. */
export class FileCharge {
  readonly #space: SpaceGuard;
  readonly #fd: number;
  #bytes = 0;

  constructor(space: SpaceGuard, fd: number) {
    this.#space = space;
    this.#fd = fd;
    space.used(0);
  }

  /** Before so many bytes are written. @throws StorageError FULL, QUOTA */
  write(bytes: number, sizeBytes: number): void {
    try {
      this.#space.check(bytes);
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'QUOTA')) throw error;
      // What was written over something takes nothing more.
      this.settle(sizeBytes);
      this.#space.check(bytes);
    }
    this.#space.used(bytes, 0);
    this.#bytes += bytes;
  }

  /** Whether so many bytes may be written. @throws StorageError FULL, QUOTA */
  check(bytes: number): void {
    this.#space.check(bytes);
  }

  /** Whether it may share so many bytes of blocks with another file. @throws StorageError FULL, QUOTA */
  checkShared(bytes: number): void {
    this.#space.checkShared(bytes);
  }

  shared(bytes: number): void {
    this.#space.usedShared(bytes);
    this.#bytes += bytes;
  }

  /** What it really takes, but for blocks that the file system holds ready behind its end. */
  settle(sizeBytes: number): void {
    const { blocks } = fstatSync(this.#fd);
    const blockBytes = blocks * BLOCK_UNIT_BYTES;
    // Where its parts lie is noted when they go to the disk, in blocks of its own.
    const isScattered = blockBytes < sizeBytes && blockBytes > UNNOTED_BYTES;
    const notesBytes = isScattered ? Math.ceil(blockBytes / NOTED_BYTES_A_BLOCK) * BLOCK_BYTES : 0;
    const takenBytes = Math.min(blockBytes + notesBytes, sizeBytes + MOST_TAIL_BYTES);
    if (takenBytes > this.#bytes) this.#space.usedShared(takenBytes - this.#bytes);
    else this.#space.released(this.#bytes - takenBytes, 0);
    this.#bytes = takenBytes;
  }

  /** Its content has gone. */
  empty(): void {
    this.#space.released(this.#bytes, 0);
    this.#bytes = 0;
  }

  /** The file has gone. */
  release(): void {
    this.#space.released(this.#bytes, 1);
    this.#bytes = 0;
  }
}

/** Four parts of a block each are noted in the inode of ext4; in a block beside it, at least 170 (half of what fits). */
const UNNOTED_BYTES = 4 * BLOCK_BYTES;
const NOTED_BYTES_A_BLOCK = 170 * BLOCK_BYTES;
const MOST_TAIL_BYTES = 64 * 1024;
