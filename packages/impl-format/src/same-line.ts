import { isUtf8 } from 'node:buffer';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const NEWLINE = 0x0a;
/** A number of so many digits is exact as a double. */
const EXACT_DIGITS = 15;
const NS_DIGITS = 9;
const SHA256_DIGITS = 64;

const PATH = Buffer.from('{"path":"');
const FILE = Buffer.from('","type":"file","size":');
const CTIME = Buffer.from('","ctimeNs":"');
const INODE = Buffer.from('","inode":"');
const FS = Buffer.from('","fs":');
const LINKS = Buffer.from(',"links":');
const SHA256 = Buffer.from(',"sha256":"');
const SEALED = Buffer.from(',"sealed":');

/** What a scan sees of a regular file that has nothing but the usual: no attributes, no holes. Numbers only: it is asked often. */
export interface FileFacts {
  mode: number;
  uid: number;
  gid: number;
  /** Undefined where the number has no name. */
  user: string | undefined;
  group: string | undefined;
  sizeBytes: number;
  /** Whole seconds, and the nanoseconds behind them. */
  mtimeS: number;
  mtimeNs: number;
  ctimeS: number;
  ctimeNs: number;
  inode: number;
  filesystem: number;
  linkCount: number;
}

/**
 * Tells whether a line of a manifest says of a file exactly what a scan saw of it, byte by byte and without making an entry
 * of it: a tenth of the time. It says yes only to lines that `EntryDecoder` would read without a complaint; a no says
 * nothing, since there are lines that it does not try to understand.
 */
export class SameLine {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #owner = {
    mode: -1,
    uid: -1,
    gid: -1,
    user: '' as string | undefined,
    group: '' as string | undefined,
  };
  #ownerText: Buffer = Buffer.alloc(0);
  /** Of the line last found the same, how large the file lies sealed; undefined if it is not. */
  sealedBytes: number | undefined;
  /** Of that line, where its path ends. */
  pathEnd = 0;

  /** Where the path of a line from `start` begins. */
  static pathStart(start: number): number {
    return start + PATH.length;
  }

  /**
   * @param bytes - a whole line from `start` on, with its newline
   * @returns where the next line begins; -1 for no
   */
  end(bytes: Buffer, start: number, path: Uint8Array, pathBytes: number, facts: FileFacts): number {
    this.#bytes = bytes;
    this.#at = start;
    if (!this.#has(PATH) || !this.#hasPath(path, pathBytes)) return -1;
    this.pathEnd = this.#at;
    if (!this.#has(FILE) || !this.#hasNumber(facts.sizeBytes)) return -1;
    if (!this.#has(this.#textOf(facts)) || !this.#hasTime(facts.mtimeS, facts.mtimeNs)) return -1;
    if (!this.#has(CTIME) || !this.#hasTime(facts.ctimeS, facts.ctimeNs)) return -1;
    if (!this.#has(INODE) || !this.#hasNumber(facts.inode)) return -1;
    if (facts.filesystem === 0) {
      if (bytes[this.#at++] !== QUOTE) return -1;
    } else if (!this.#has(FS) || !this.#hasNumber(facts.filesystem)) return -1;
    if (facts.linkCount !== 1 && !(this.#has(LINKS) && this.#hasNumber(facts.linkCount))) return -1;
    if (!this.#has(SHA256) || !this.#hasHex()) return -1;
    this.sealedBytes = undefined;
    if (this.#has(SEALED)) {
      const sealedBytes = this.#number();
      if (sealedBytes < 0) return -1;
      this.sealedBytes = sealedBytes;
    }
    const at = this.#at;
    return bytes[at] === 0x7d && bytes[at + 1] === NEWLINE ? at + 2 : -1;
  }

  #has(literal: Buffer): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    const length = literal.length;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== literal[i]) return false;
    this.#at = at + length;
    return true;
  }

  /** Only what stands in a line as it is. */
  #hasPath(path: Uint8Array, pathBytes: number): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    let isAscii = true;
    for (let i = 0; i < pathBytes; i++) {
      const byte = path[i]!;
      if (bytes[at + i] !== byte || byte === QUOTE || byte === BACKSLASH || byte < 0x20) return false;
      if (byte >= 0x7f) isAscii = false;
    }
    this.#at = at + pathBytes;
    return isAscii || isUtf8(bytes.subarray(at, this.#at));
  }

  #hasNumber(value: number): boolean {
    return this.#number() === value;
  }

  /** Negative for what is none, or not exact. */
  #number(): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let value = 0;
    for (;;) {
      const digit = bytes[at]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      at++;
    }
    this.#at = at;
    const digits = at - start;
    if (digits === 0 || digits > EXACT_DIGITS || (digits > 1 && bytes[start] === ZERO)) return -1;
    return value;
  }

  #hasTime(seconds: number, ns: number): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    let end = start;
    while (bytes[end] !== QUOTE && end - start <= EXACT_DIGITS + NS_DIGITS) end++;
    const split = end - NS_DIGITS;
    if (split <= start || bytes[start] === ZERO) return false;
    this.#at = end;
    return this.#digits(start, split) === seconds && this.#digits(split, end) === ns;
  }

  #digits(from: number, to: number): number {
    const bytes = this.#bytes;
    let value = 0;
    for (let at = from; at < to; at++) {
      const digit = bytes[at]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) return -1;
      value = value * 10 + digit;
    }
    return value;
  }

  #hasHex(): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = at; i < at + SHA256_DIGITS; i++) {
      const byte = bytes[i]!;
      if (!((byte >= ZERO && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) return false;
    }
    this.#at = at + SHA256_DIGITS + 1;
    return bytes[at + SHA256_DIGITS] === QUOTE;
  }

  /** From mode to mtime: the same for nearly all files of a folder. */
  #textOf({ mode, uid, gid, user, group }: FileFacts): Buffer {
    const owner = this.#owner;
    if (
      owner.mode !== mode ||
      owner.uid !== uid ||
      owner.gid !== gid ||
      owner.user !== user ||
      owner.group !== group
    ) {
      Object.assign(owner, { mode, uid, gid, user, group });
      const names =
        (user === undefined ? '' : `,"user":${JSON.stringify(user)}`) +
        (group === undefined ? '' : `,"group":${JSON.stringify(group)}`);
      const octal = mode.toString(8).padStart(4, '0');
      this.#ownerText = Buffer.from(`,"mode":"${octal}","uid":${uid},"gid":${gid}${names},"mtimeNs":"`);
    }
    return this.#ownerText;
  }
}
