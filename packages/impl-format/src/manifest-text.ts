import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { ManifestHeader, ManifestTrailer } from './entry.ts';
import { FormatProblem, ManifestError } from './errors.ts';
import { decodeHeaderLine } from './header-line.ts';
import { lineBlocks } from './line-blocks.ts';
import { printableBytes } from './printable.ts';
import { decodeTrailerLine, TRAILER_START } from './trailer-line.ts';
import { decompressZstd } from './zstd.ts';

const NEWLINE = 0x0a;

/** The text of a compressed manifest: header, lines of entries, trailer with a digest that is true. */
export class ManifestText implements AsyncDisposable {
  /** Number of the line that is being looked at, from 1; kept by whoever looks. */
  line = 0;
  readonly #source: string | undefined;
  readonly #blocks: AsyncGenerator<Buffer>;
  readonly #hash = createHash('sha256');
  #afterHeader: Buffer = Buffer.alloc(0);

  constructor(bytes: AsyncIterable<Uint8Array>, source: string | undefined) {
    this.#source = source;
    this.#blocks = lineBlocks(decompressZstd(bytes));
  }

  /** Reads the first line; to be called first. */
  async header(): Promise<ManifestHeader> {
    this.line = 1;
    const first = await this.#blocks.next();
    if (first.done === true) throw new FormatProblem('TRUNCATED', 'the manifest is empty');
    const block = first.value;
    const end = block.indexOf(NEWLINE) + 1;
    const header = decodeHeaderLine(lineText(block.subarray(0, end - 1)));
    this.#hash.update(block.subarray(0, end));
    this.#afterHeader = block.subarray(end);
    return header;
  }

  /**
   * Yields the lines of entries in blocks, each line ended by a newline; returns the trailer when its digest was found
   * to be that of everything before.
   */
  async *body(): AsyncGenerator<Buffer, ManifestTrailer> {
    // One block stays behind, as the last line of the last one is the trailer.
    let block = this.#afterHeader;
    for await (const next of this.#blocks) {
      if (block.length > 0) {
        this.#hash.update(block);
        yield block;
      }
      block = next;
    }
    const start = block.length < 2 ? 0 : block.lastIndexOf(NEWLINE, block.length - 2) + 1;
    const last = block.subarray(start, -1);
    if (!last.toString('latin1', 0, TRAILER_START.length).startsWith(TRAILER_START)) {
      throw new FormatProblem('TRUNCATED', 'the manifest ends without a trailer');
    }
    if (start > 0) {
      this.#hash.update(block.subarray(0, start));
      yield block.subarray(0, start);
    }
    this.line++;
    const trailer = decodeTrailerLine(lineText(last));
    if (this.#hash.digest('hex') !== trailer.digest) {
      throw new FormatProblem('DAMAGED', 'the digest in the trailer is not that of the lines before it');
    }
    return trailer;
  }

  /** Adds to a problem where it is; anything else stays as it is. */
  located(error: unknown, path?: Buffer): unknown {
    if (!(error instanceof FormatProblem)) return error;
    return new ManifestError(error.code, error.message, {
      source: this.#source,
      line: this.line,
      path: path === undefined ? undefined : printableBytes(path),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#blocks.return(undefined);
  }
}

function lineText(line: Buffer): string {
  if (!isUtf8(line)) throw new FormatProblem('MALFORMED', 'text is not UTF-8');
  return line.toString('utf8');
}
