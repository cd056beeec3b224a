import { decompressZstd, encodeByteText, lineBlocks } from '@bakker/impl-format/storage';
import { StorageError } from '../../errors.ts';

const NEWLINE = 0x0a;
/** What the line of an entry begins with (docs/impl-format.md: the path comes first, in one form). */
const ENTRY_START = '{"path":';
const TRAILER_START = '{"end":';

/** The start of the line of `path`, as far as it tells the path. */
export function lineStart(path: Buffer): Buffer {
  return Buffer.from(`${ENTRY_START}${encodeByteText(path)},`, 'utf8');
}

/**
 * Goes through the lines of a manifest's entries once, forward, without reading what they say. Holds a few pieces of
 * 128 KiB, and a line of 16 MiB at most. Whatever does not fit throws StorageError PARENT_CHANGED.
 */
export class ParentLines implements AsyncDisposable {
  readonly #check: () => void;
  readonly #open: () => AsyncIterable<Uint8Array>;
  #blocks: AsyncGenerator<Buffer, undefined> | undefined;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /**
   * @param check - called for each piece of the text; throws when nobody needs it any more
   * @param open - starts to read the bytes of the manifest; called when the first line is needed
   */
  constructor(check: () => void, open: () => AsyncIterable<Uint8Array>) {
    this.#check = check;
    this.#open = open;
  }

  /** The next `count` lines, in blocks of whole lines. */
  async *take(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0;) {
      await this.#fill();
      const start = this.#at;
      left -= this.#pass(left);
      yield this.#block.subarray(start, this.#at);
    }
  }

  /** Passes the next `count` lines. */
  async drop(count: number): Promise<void> {
    for (let left = count; left > 0; left -= this.#pass(left)) await this.#fill();
  }

  /** Goes behind the next line that begins with `start`, and returns it. */
  async find(start: Buffer): Promise<Buffer> {
    for (;;) {
      await this.#fill();
      for (let at = this.#at; ; at++) {
        at = this.#block.indexOf(start, at);
        if (at < 0) break;
        if (at > 0 && this.#block[at - 1] !== NEWLINE) continue;
        this.#at = this.#block.indexOf(NEWLINE, at) + 1;
        return this.#block.subarray(at, this.#at);
      }
      this.#at = this.#block.length;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#blocks?.return(undefined);
  }

  /** Makes sure that the next line of an entry is at hand. */
  async #fill(): Promise<void> {
    if (this.#blocks === undefined) {
      this.#blocks = lineBlocks(decompressZstd(this.#open()));
      await this.#next(this.#blocks);
      this.#pass(1); // the header
    }
    if (this.#at === this.#block.length) await this.#next(this.#blocks);
    // Only the last line begins so; looking at it costs nothing beside the line.
    if (this.#block.toString('latin1', this.#at, this.#at + TRAILER_START.length) === TRAILER_START)
      throw tooShort();
  }

  async #next(blocks: AsyncGenerator<Buffer, undefined>): Promise<void> {
    this.#check();
    const { done, value } = await blocks.next();
    if (done === true) throw tooShort();
    this.#block = value;
    this.#at = 0;
  }

  /** Passes up to `count` lines of the block, but not the trailer. @returns how many */
  #pass(count: number): number {
    const block = this.#block;
    const start = this.#at;
    let passed = 0;
    let at = start;
    while (passed < count && at < block.length) {
      at = block.indexOf(NEWLINE, at) + 1;
      passed++;
    }
    if (at === block.length && passed > 1) {
      const last = block.lastIndexOf(NEWLINE, at - 2) + 1;
      if (block.toString('latin1', last, last + TRAILER_START.length) === TRAILER_START) {
        at = last;
        passed--;
      }
    }
    this.#at = at;
    return passed;
  }
}

function tooShort(): StorageError {
  return new StorageError('PARENT_CHANGED', "the parent's manifest does not have the lines that were named");
}
