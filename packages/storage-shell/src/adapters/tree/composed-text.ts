import { createHash } from 'node:crypto';
import {
  decodeHeaderLine,
  decodeTrailerLine,
  FormatProblem,
  MAX_LINE_BYTES,
  ZstdCompressor,
} from '@bakker/impl-format/storage';
import { StorageError } from '../../errors.ts';

const NEWLINE = 0x0a;
/** Text is handed to the compressor in pieces of about this size: streams cost by the piece. */
const PIECE_BYTES = 256 * 1024;

/**
 * The text of a manifest on its way into a file: compressed, and its digest taken. Holds a piece, and the last line, which
 * the digest does not cover.
 */
export class ComposedText implements Disposable {
  readonly #compressor = new ZstdCompressor();
  readonly #write: (compressed: Uint8Array) => void;
  readonly #hash = createHash('sha256');
  #header: Buffer | undefined;
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  /** The last line, in the first `#lineBytes` bytes: one buffer, since a line may come in millions of pieces. */
  #line = Buffer.alloc(0);
  #lineBytes = 0;

  constructor(write: (compressed: Uint8Array) => void) {
    this.#write = write;
  }

  /** Whether the text so far ends with a whole line. */
  get isAtLineStart(): boolean {
    return this.#lineBytes === 0 || this.#line[this.#lineBytes - 1] === NEWLINE;
  }

  /** @param text - not to be changed any more. @throws StorageError MANIFEST_DAMAGED for a line that is too long; what `write` throws */
  async add(text: Buffer): Promise<void> {
    if (text.length === 0) return;
    this.#digest(text);
    if (this.#gatheredBytes + text.length > PIECE_BYTES) await this.#compress();
    if (text.length > PIECE_BYTES) {
      await this.#compressor.write(text);
      this.#flush();
      return;
    }
    this.#gathered ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
    this.#gatheredBytes += text.copy(this.#gathered, this.#gatheredBytes);
  }

  /**
   * Ends the text, when header and trailer say the truth.
   * @throws StorageError MANIFEST_DAMAGED unless it is the manifest of `run` with the digest that its trailer says
   */
  async finish(run: string): Promise<void> {
    if (!this.isAtLineStart || this.#header === undefined) throw damaged('it has no end');
    try {
      const header = decodeHeaderLine(textOf(this.#header));
      if (header.run !== run) throw damaged(`it is the manifest of ${header.run}`);
      const trailer = decodeTrailerLine(textOf(this.#line.subarray(0, this.#lineBytes)));
      if (this.#hash.digest('hex') !== trailer.digest) throw damaged('its text is not what its trailer says');
    } catch (error) {
      throw error instanceof FormatProblem ? damaged(error.message) : error;
    }
    await this.#compress();
    await this.#compressor.end();
    this.#flush();
  }

  [Symbol.dispose](): void {
    this.#compressor[Symbol.dispose]();
  }

  /** Takes everything into the digest but the last line, be it whole or begun. */
  #digest(text: Buffer): void {
    const end = text.length < 2 ? -1 : text.lastIndexOf(NEWLINE, text.length - 2);
    if (end >= 0 || this.isAtLineStart) {
      const line = this.#line.subarray(0, this.#lineBytes);
      this.#hash.update(line);
      if (this.#header === undefined && line.length > 0 && this.isAtLineStart)
        this.#header = Buffer.from(line);
      if (end >= 0) {
        this.#header ??= Buffer.concat([line, text.subarray(0, text.indexOf(NEWLINE) + 1)]);
        this.#hash.update(text.subarray(0, end + 1));
      }
      this.#lineBytes = 0;
    }
    const rest = text.subarray(end + 1);
    const lineBytes = this.#lineBytes + rest.length;
    if (lineBytes > MAX_LINE_BYTES) throw damaged('a line is too long');
    if (lineBytes > this.#line.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(lineBytes, 2 * this.#line.length));
      this.#line.copy(grown, 0, 0, this.#lineBytes);
      this.#line = grown;
    }
    rest.copy(this.#line, this.#lineBytes);
    this.#lineBytes = lineBytes;
  }

  async #compress(): Promise<void> {
    if (this.#gathered === undefined) return;
    const piece = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    await this.#compressor.write(piece);
    this.#flush();
  }

  #flush(): void {
    for (const compressed of this.#compressor.take()) this.#write(compressed);
  }
}

function textOf(line: Buffer): string {
  return line.toString('utf8', 0, line.length - 1);
}

function damaged(reason: string): StorageError {
  return new StorageError('MANIFEST_DAMAGED', `the manifest that was sent is not whole: ${reason}`);
}
