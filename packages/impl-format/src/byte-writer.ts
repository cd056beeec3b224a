import { encodeByteText } from './byte-text.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const HEX_DIGITS = Buffer.from('0123456789abcdef');
/** Below it, arithmetic on whole numbers is quickest. */
const SMALL_NUMBER = 2 ** 30;

/**
 * Text under construction, as bytes: lines are put together here several times quicker than by joining strings.
 * Grows as needed.
 */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;
  readonly #usualBytes: number;

  constructor(usualBytes: number) {
    this.#usualBytes = usualBytes;
    this.#bytes = Buffer.allocUnsafeSlow(usualBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Hands out what was written, and begins anew. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafeSlow(this.#usualBytes);
    this.#length = 0;
    return taken;
  }

  literal(literal: Buffer): void {
    const length = literal.length;
    this.#reserve(length);
    const bytes = this.#bytes;
    const at = this.#length;
    for (let i = 0; i < length; i++) bytes[at + i] = literal[i]!;
    this.#length = at + length;
  }

  /** What was written from `start` on; good until something more is. */
  since(start: number): Buffer {
    return this.#bytes.subarray(start, this.#length);
  }

  /** The bytes of `block` from `start` to `end`. */
  part(block: Buffer, start: number, end: number): void {
    this.#reserve(end - start);
    this.#length += block.copy(this.#bytes, this.#length, start, end);
  }

  ascii(text: string): void {
    const length = text.length;
    this.#reserve(length);
    const bytes = this.#bytes;
    const at = this.#length;
    for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i);
    this.#length = at + length;
  }

  /** Any text, as UTF-8. */
  text(text: string): void {
    this.#reserve(Buffer.byteLength(text));
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
  }

  /** A whole number from 0 on. */
  number(value: number): void {
    if (value >= SMALL_NUMBER) {
      this.ascii(String(value));
      return;
    }
    let digits = 1;
    for (let limit = 10; value >= limit; limit *= 10) digits++;
    this.#reserve(digits);
    const at = this.#length;
    let rest = value | 0;
    for (let i = digits - 1; i >= 0; i--) {
      const shorter = (rest / 10) | 0;
      this.#bytes[at + i] = ZERO + rest - shorter * 10;
      rest = shorter;
    }
    this.#length = at + digits;
  }

  hex(value: Buffer): void {
    this.#reserve(value.length * 2);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < value.length; i++) {
      const byte = value[i]!;
      bytes[at++] = HEX_DIGITS[byte >> 4]!;
      bytes[at++] = HEX_DIGITS[byte & 15]!;
    }
    this.#length = at;
  }

  /** As `encodeByteText`. */
  byteText(value: Buffer): void {
    const length = value.length;
    this.#reserve(length + 2);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = QUOTE;
    for (let i = 0; i < length; i++) {
      const byte = value[i]!;
      if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) {
        this.text(encodeByteText(value));
        return;
      }
      bytes[at++] = byte;
    }
    bytes[at++] = QUOTE;
    this.#length = at;
  }

  #reserve(moreBytes: number): void {
    const needed = this.#length + moreBytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
