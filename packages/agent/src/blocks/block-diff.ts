import { PRINT_BYTES } from './block-printer.ts';
import type { BlockPrinter } from './block-printer.ts';
import type { Block } from './block-feed.ts';

/** Fingerprints of all blocks of a content. */
export interface BlockPrints {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** 16 bytes for each block, in order. */
  readonly prints: Buffer;
  /** How the content lies sealed, if it does: what is needed to change it there. */
  readonly sealed?: Buffer | undefined;
}

/**
 * How a block of the new file is had from the old one: `keep` what is there, make it `zero`, `write` what was read; `nothing`
 * where both are zeros; `there` where an earlier pass has put it.
 */
export type Verdict = 'keep' | 'zero' | 'write' | 'nothing' | 'there';

/**
 * Compares the blocks of a file, in order, with the fingerprints of an older content, and takes their fingerprints, in the
 * same memory: the older ones are gone then.
 */
export class BlockDiff {
  readonly #printer: BlockPrinter;
  readonly #before: { readonly prints: Buffer; readonly lengthBytes: number };
  readonly #after: Buffer;
  readonly #sizeBytes: number;
  readonly #blockBytes: number;
  #isChanged: boolean;
  #changedBytes = 0;

  /** @param before - of the same size of blocks; without it all is new */
  constructor(options: {
    printer: BlockPrinter;
    sizeBytes: number;
    blockBytes: number;
    before?: BlockPrints | undefined;
  }) {
    const { printer, sizeBytes, blockBytes, before } = options;
    if (before && before.blockBytes !== blockBytes)
      throw new Error('blocks of two sizes can not be compared');
    this.#printer = printer;
    this.#sizeBytes = sizeBytes;
    this.#blockBytes = blockBytes;
    this.#isChanged = before?.sizeBytes !== sizeBytes;
    const prints = before?.prints ?? Buffer.alloc(0);
    this.#before = { prints, lengthBytes: prints.length };
    const afterBytes = Math.ceil(sizeBytes / blockBytes) * PRINT_BYTES;
    this.#after = afterBytes <= prints.length ? prints.subarray(0, afterBytes) : Buffer.alloc(afterBytes);
  }

  /** Whether anything was not as before so far; at once, if the size is not. */
  get isChanged(): boolean {
    return this.#isChanged;
  }

  /** Bytes of blocks to be written so far. */
  get changedBytes(): number {
    return this.#changedBytes;
  }

  /** Blocks come one after another. */
  next({ index, lengthBytes, bytes }: Block): Exclude<Verdict, 'there'> {
    const at = index * PRINT_BYTES;
    const zeros = this.#printer.zeros(lengthBytes);
    const print = bytes === undefined ? zeros : this.#printer.print(bytes);
    const { prints, lengthBytes: knownBytes } = this.#before;
    const isSame = at < knownBytes && print.equals(prints.subarray(at, at + PRINT_BYTES));
    print.copy(this.#after, at);
    const isZero = print.equals(zeros);
    if (isSame) return isZero ? 'nothing' : 'keep';
    this.#isChanged = true;
    if (isZero) return 'zero';
    this.#changedBytes += lengthBytes;
    return 'write';
  }

  /** Of the new content, when all blocks were there. */
  prints(): BlockPrints {
    return { sizeBytes: this.#sizeBytes, blockBytes: this.#blockBytes, prints: this.#after };
  }
}
