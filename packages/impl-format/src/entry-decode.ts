import { isUtf8 } from 'node:buffer';
import { decodeBase64, encodeByteText } from './byte-text.ts';
import type { Entry, EntryType } from './entry.ts';
import { decodeDetails, OWN } from './entry-details.ts';
import { MAX_INODE, MAX_TIME_DIGITS } from './entry-encode.ts';
import { ENTRY_TYPES } from './entry-rules.ts';
import { FormatProblem } from './errors.ts';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const BRACE = 0x7d;
const NEWLINE = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;
const MAX_NUMBER_DIGITS = 16;
/** A number of so many digits is exact as a double. */
const EXACT_DIGITS = 15;
const NS_DIGITS = 9;
const HEX = hexValues();

const PATH = Buffer.from('{"path":');
const TYPE = Buffer.from(',"type":"');
const TYPES = ENTRY_TYPES.map((type) => ({ type, text: Buffer.from(`${type}"`) }));
const SIZE = Buffer.from(',"size":');
const MODE = Buffer.from(',"mode":"');
const UID = Buffer.from('","uid":');
const GID = Buffer.from(',"gid":');
const USER = Buffer.from(',"user":');
const GROUP = Buffer.from(',"group":');
const MTIME = Buffer.from(',"mtimeNs":"');
const CTIME = Buffer.from('","ctimeNs":"');
const INODE = Buffer.from('","inode":"');
const AFTER_INODE = Buffer.from('"');
const FS = Buffer.from(',"fs":');
const LINKS = Buffer.from(',"links":');
const SHA256 = Buffer.from(',"sha256":"');
const SEALED = Buffer.from(',"sealed":');
const B64 = Buffer.from('{"b64":"');
const AFTER_B64 = Buffer.from('"}');

/**
 * Reads lines as `encodeEntryLine` writes them, from the bytes: several times quicker than JSON.parse and looking at
 * what came out, and stricter, as there is one form only. It never looks beyond a newline.
 */
export class EntryDecoder {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #user = new LastText();
  readonly #group = new LastText();
  /** Of the line last read, as soon as it was understood; for messages. */
  path: Buffer | undefined;
  /** Where the newline of the line last read is. */
  end = 0;

  /**
   * The entry in `bytes` from `start` to a newline, which must be there. Keeps no reference to `bytes`. Not checked by the rules.
   * @throws FormatProblem MALFORMED
   */
  decode(bytes: Buffer, start: number): Entry {
    this.#bytes = bytes;
    this.#at = start;
    this.path = undefined;
    this.#expect(PATH);
    const path = this.#byteText();
    this.path = path;
    this.#expect(TYPE);
    const type = this.#type();
    const sizeBytes = type === 'file' ? this.#valueOf(SIZE) : 0;
    this.#expect(MODE);
    const mode = this.#octal();
    const uid = this.#valueOf(UID);
    const gid = this.#valueOf(GID);
    const user = this.#has(USER) ? this.#text(this.#user) : undefined;
    const group = this.#has(GROUP) ? this.#text(this.#group) : undefined;
    this.#expect(MTIME);
    const mtimeNs = this.#time();
    this.#expect(CTIME);
    const ctimeNs = this.#time();
    this.#expect(INODE);
    const inode = this.#inode();
    this.#expect(AFTER_INODE);
    const filesystem = this.#has(FS) ? this.#numberBut(0) : 0;
    const linkCount = this.#has(LINKS) ? this.#numberBut(1) : 1;
    const entry: Writable<Entry> = {
      path,
      type,
      sizeBytes,
      mode,
      uid,
      gid,
      mtimeNs,
      ctimeNs,
      inode,
      filesystem,
      linkCount,
      stored: OWN,
    };
    if (user !== undefined) entry.user = user;
    if (group !== undefined) entry.group = group;
    if (this.#has(SHA256)) entry.sha256 = this.#sha256();
    if (this.#has(SEALED)) entry.sealedBytes = this.#number();
    if (bytes[this.#at] !== BRACE || bytes[this.#at + 1] !== NEWLINE) Object.assign(entry, this.#details());
    this.end = this.#at + 1;
    return entry;
  }

  #details(): ReturnType<typeof decodeDetails> {
    const last = this.#bytes.indexOf(NEWLINE, this.#at) - 1;
    if (this.#bytes[this.#at] !== COMMA || this.#bytes[last] !== BRACE || last <= this.#at) {
      this.#refuse('expected another key or the end of the line');
    }
    const rest = this.#bytes.subarray(this.#at, last);
    this.#at = last;
    if (!isUtf8(rest)) this.#refuse('text is not UTF-8');
    return decodeDetails(rest.toString('utf8'));
  }

  #expect(literal: Buffer): void {
    if (!this.#has(literal)) this.#refuse(`expected ${literal.toString('latin1')}`);
  }

  #has(literal: Buffer): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    const length = literal.length;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== literal[i]) return false;
    this.#at = at + length;
    return true;
  }

  #type(): EntryType {
    for (const { type, text } of TYPES) if (this.#has(text)) return type;
    return this.#refuse('the type is unknown');
  }

  #valueOf(key: Buffer): number {
    this.#expect(key);
    return this.#number();
  }

  /** Digits without a leading zero; at most 2^53 - 1. */
  #number(): number {
    const value = this.#digits(MAX_NUMBER_DIGITS);
    if (value > Number.MAX_SAFE_INTEGER) this.#refuse('a number is out of range');
    return value;
  }

  #numberBut(usual: number): number {
    const value = this.#number();
    return value === usual ? this.#refuse(`a number is ${usual}, for which its key is left out`) : value;
  }

  /** Steps over digits in their one form; the value is exact up to 15 of them. */
  #digits(most: number): number {
    const start = this.#at;
    const bytes = this.#bytes;
    let at = start;
    let value = 0;
    for (;;) {
      const digit = bytes[at]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      at++;
    }
    if (at === start) this.#refuse('expected a number');
    if (bytes[start] === ZERO && at - start > 1) this.#refuse('a number has a leading zero');
    if (at - start > most) this.#refuse('a number is out of range');
    this.#at = at;
    return value;
  }

  #octal(): number {
    let mode = 0;
    for (let i = 0; i < 4; i++) {
      const digit = this.#bytes[this.#at++]! - ZERO;
      if (!(digit >= 0 && digit <= 7)) this.#refuse('the mode is not four octal digits');
      mode = mode * 8 + digit;
    }
    return mode;
  }

  #time(): bigint {
    const start = this.#at;
    const negative = this.#bytes[start] === MINUS;
    if (negative) this.#at++;
    const digitsStart = this.#at;
    const value = this.#digits(MAX_TIME_DIGITS);
    const count = this.#at - digitsStart;
    if (negative && value === 0) this.#refuse('a time is minus zero');
    if (count <= EXACT_DIGITS) return BigInt(negative ? -value : value);
    if (negative || count > EXACT_DIGITS + NS_DIGITS)
      return BigInt(this.#bytes.toString('latin1', start, this.#at));
    let ns = 0;
    let seconds = 0;
    const split = this.#at - NS_DIGITS;
    for (let i = digitsStart; i < split; i++) seconds = seconds * 10 + this.#bytes[i]! - ZERO;
    for (let i = split; i < this.#at; i++) ns = ns * 10 + this.#bytes[i]! - ZERO;
    return BigInt(seconds) * 1_000_000_000n + BigInt(ns);
  }

  #inode(): bigint {
    const start = this.#at;
    const value = this.#digits(20);
    if (this.#at - start <= EXACT_DIGITS) return BigInt(value);
    const inode = BigInt(this.#bytes.toString('latin1', start, this.#at));
    return inode > MAX_INODE ? this.#refuse('the inode is out of range') : inode;
  }

  #sha256(): Buffer {
    const hash = Buffer.allocUnsafe(32);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < 32; i++) {
      const value = (HEX[bytes[at]!]! << 4) | HEX[bytes[at + 1]!]!;
      if (value < 0) this.#refuse('sha256 is not 64 hex digits');
      hash[i] = value;
      at += 2;
    }
    if (bytes[at] !== QUOTE) this.#refuse('sha256 is not 64 hex digits');
    this.#at = at + 1;
    return hash;
  }

  #text(last: LastText): string {
    const start = this.#at;
    const length = last.matches(this.#bytes, start);
    if (length > 0) {
      this.#at = start + length;
      return last.text;
    }
    if (this.#bytes[start] !== QUOTE) this.#refuse('expected text');
    const text = this.#byteText().toString('utf8');
    last.set(text, this.#bytes.subarray(start, this.#at));
    return text;
  }

  /** Always a copy. */
  #byteText(): Buffer {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== QUOTE) return this.#base64();
    const start = this.#at + 1;
    let at = start;
    let ascii = true;
    for (;;) {
      const byte = bytes[at]!;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) return this.#escapedText();
      if (byte < 0x20) this.#refuse('text does not end, or has a control character');
      if (byte >= 0x80) ascii = false;
      at++;
    }
    this.#at = at + 1;
    if (!ascii && !isUtf8(bytes.subarray(start, at))) this.#refuse('text is not UTF-8');
    const copy = Buffer.allocUnsafe(at - start);
    bytes.copy(copy, 0, start, at);
    return copy;
  }

  #escapedText(): Buffer {
    const start = this.#at;
    let at = start + 1;
    while (this.#bytes[at] !== QUOTE) {
      if (this.#bytes[at]! < 0x20) this.#refuse('text does not end, or has a control character');
      // What is escaped is looked at by JSON.parse, except a newline, which would lead out of the line.
      if (this.#bytes[at] === BACKSLASH && this.#bytes[at + 1]! >= 0x20) at++;
      at++;
    }
    this.#at = at + 1;
    const written = this.#bytes.subarray(start, this.#at);
    const text = isUtf8(written) ? parseText(written.toString('utf8')) : undefined;
    if (text === undefined) return this.#refuse('text is not JSON');
    const value = Buffer.from(text, 'utf8');
    if (encodeByteText(value) !== written.toString('utf8')) this.#refuse('text is not in its one form');
    return value;
  }

  #base64(): Buffer {
    if (!this.#has(B64)) this.#refuse('expected text or {"b64":…}');
    const quote = this.#bytes.indexOf(QUOTE, this.#at);
    if (quote === -1) this.#refuse('text does not end');
    const value = decodeBase64(this.#bytes.toString('latin1', this.#at, quote));
    this.#at = quote;
    this.#expect(AFTER_B64);
    if (isUtf8(value)) this.#refuse('b64 where text would do');
    return value;
  }

  #refuse(reason: string): never {
    throw new FormatProblem('MALFORMED', reason);
  }
}

/** Few users own many files: the text last read is kept, with the bytes that it was written with. */
class LastText {
  text = '';
  #written: Buffer = Buffer.alloc(0);

  /** Length in bytes of the kept text as written, if it is what stands at `at`; else 0. */
  matches(bytes: Buffer, at: number): number {
    const written = this.#written;
    for (let i = 0; i < written.length; i++) if (bytes[at + i] !== written[i]) return 0;
    return written.length;
  }

  set(text: string, written: Buffer): void {
    this.text = text;
    this.#written = Buffer.from(written);
  }
}

function parseText(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Value of each byte as a lower-case hexadecimal digit; -1 for all others, which stays negative when shifted. */
function hexValues(): Int8Array {
  const values = new Int8Array(256).fill(-1);
  for (let value = 0; value < 16; value++) values[value.toString(16).charCodeAt(0)] = value;
  return values;
}
