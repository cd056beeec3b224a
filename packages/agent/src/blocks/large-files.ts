import type { Entry } from '@bakker/impl-format';
import { ContentHash } from '../backup/content-hash.ts';
import type { BlockMemory } from '../ports/state-folder.ts';
import { BlockDiff } from './block-diff.ts';
import type { BlockPrints, Verdict } from './block-diff.ts';
import { BlockFeed } from './block-feed.ts';
import type { Block } from './block-feed.ts';
import { BlockPrinter } from './block-printer.ts';
import { blockBytesFor } from './block-size.ts';

/** A content, by what says that two are the same. */
export interface ContentId {
  readonly sizeBytes: number;
  readonly sha256: Buffer;
}

/** What one run knows of the blocks of large files, and learns. */
export class LargeFiles {
  readonly #memory: BlockMemory;
  readonly #mountPoints: readonly Buffer[];
  readonly #printer: BlockPrinter;
  readonly #isRemembered: boolean;
  readonly #blockBytesFor: (sizeBytes: number) => number;

  /** @param options - `mountPoints`: identities of the file systems; `isRemembered`: false for a run that leaves no trace */
  constructor(
    memory: BlockMemory,
    options: {
      mountPoints: readonly Buffer[];
      isRemembered: boolean;
      blockBytesFor?: (sizeBytes: number) => number;
    },
  ) {
    const { mountPoints, isRemembered } = options;
    this.#blockBytesFor = options.blockBytesFor ?? blockBytesFor;
    this.#memory = memory;
    this.#mountPoints = mountPoints;
    this.#printer = new BlockPrinter(memory.key);
    this.#isRemembered = isRemembered;
  }

  /** Fingerprints of a content; each call has memory of its own. */
  blocksOf({ sizeBytes, sha256 }: ContentId): BlockPrints | undefined {
    return this.#memory.byContent(sizeBytes, sha256);
  }

  /** What was read from this inode the last time. */
  lastOf({ filesystem, inode }: Entry): ContentId | undefined {
    const mountPoint = this.#mountPoints[filesystem];
    return mountPoint && this.#memory.byInode(mountPoint, inode);
  }

  /** Makes the fingerprints of a content again from pieces of it, in order; undefined if it is another content. */
  async learn(
    content: ContentId,
    pieces: AsyncIterable<{ readonly offsetBytes: number; readonly bytes: Buffer }>,
  ): Promise<BlockPrints | undefined> {
    const { sizeBytes, sha256 } = content;
    const reading = this.reading(sizeBytes);
    const hash = new ContentHash();
    for await (const { offsetBytes, bytes } of pieces) {
      reading.pass(offsetBytes, bytes);
      hash.update(offsetBytes, bytes);
    }
    return hash.finish(sizeBytes).equals(sha256) ? reading.finish() : undefined;
  }

  /** Starts to read a file from its beginning. @param before - what it is compared with; its memory is used up */
  reading(sizeBytes: number, before?: BlockPrints): BlockReading {
    const blockBytes = before?.blockBytes ?? this.#blockBytesFor(sizeBytes);
    return new BlockReading(this.#printer, { sizeBytes, blockBytes, before });
  }

  /** @param instead - the content that it replaces */
  note({ filesystem, inode, sha256 }: Entry, blocks: BlockPrints, instead?: Buffer): void {
    const mountPoint = this.#mountPoints[filesystem];
    if (!this.#isRemembered || !mountPoint || !sha256) return;
    this.#memory.add({ sha256, blocks, filesystem: mountPoint, inode, instead });
  }

  forget(sha256: Buffer): void {
    if (this.#isRemembered) this.#memory.forget(sha256);
  }
}

/** One pass over a file, in blocks. */
export class BlockReading {
  readonly #feed: BlockFeed;
  readonly #diff: BlockDiff;

  constructor(
    printer: BlockPrinter,
    options: { sizeBytes: number; blockBytes: number; before: BlockPrints | undefined },
  ) {
    const { sizeBytes, blockBytes, before } = options;
    this.#feed = new BlockFeed(sizeBytes, blockBytes);
    this.#diff = new BlockDiff({ printer, sizeBytes, blockBytes, before });
  }

  /** Whether it differs from what it is compared with, as far as it was read. */
  get isChanged(): boolean {
    return this.#diff.isChanged;
  }

  /** Bytes of blocks that were to be written so far. */
  get changedBytes(): number {
    return this.#diff.changedBytes;
  }

  /** The next piece: its blocks, and what becomes of them. */
  *add(offsetBytes: number, bytes: Buffer): Generator<readonly [Verdict, Block]> {
    for (const block of this.#feed.add(offsetBytes, bytes)) yield [this.#diff.next(block), block];
  }

  /** The rest, which is a hole. */
  *end(): Generator<readonly [Verdict, Block]> {
    for (const block of this.#feed.end()) yield [this.#diff.next(block), block];
  }

  /** As `add`, for the fingerprints alone. */
  pass(offsetBytes: number, bytes: Buffer): void {
    for (const block of this.#feed.add(offsetBytes, bytes)) this.#diff.next(block);
  }

  /** As `end`, for the fingerprints alone. */
  finish(): BlockPrints {
    for (const block of this.#feed.end()) this.#diff.next(block);
    return this.blocks();
  }

  /** Fingerprints of all of it, once it was read to its end. */
  blocks(): BlockPrints {
    return this.#diff.prints();
  }
}
