import { FormatProblem } from '../errors.ts';
import { checkPath } from '../path-order.ts';

const SLASH = 0x2f;
const MAX_FIELD_BYTES = 4096;

/** Reads what `ScriptWriter` wrote. Everything throws FormatProblem MALFORMED, a path that leaves its place HOSTILE. */
export class ScriptReader {
  readonly #bytes: Buffer;
  readonly #fields = new Map<string, Buffer>();
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u8(): number {
    return this.#bytes[this.#step(1)]!;
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#step(4));
  }

  /** Shares the bytes of the script. */
  bytes(length: number): Buffer {
    const start = this.#step(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A path by the rules of `checkPath`. */
  path(name: string): Buffer {
    return this.#field(name, checkNewPart);
  }

  /** Other bytes without NUL, perhaps none. */
  text(name: string): Buffer {
    return this.#field(name, checkText);
  }

  #field(name: string, check: (value: Buffer, shared: number) => void): Buffer {
    const lengths = this.#step(4);
    const shared = this.#bytes.readUInt16BE(lengths);
    const otherBytes = this.#bytes.readUInt16BE(lengths + 2);
    const earlier = this.#fields.get(name) ?? NOTHING;
    if (shared > earlier.length) {
      throw new FormatProblem('MALFORMED', `${name} shares more than there was before`);
    }
    if (shared + otherBytes > MAX_FIELD_BYTES) throw new FormatProblem('MALFORMED', `${name} is too long`);
    const start = this.#step(otherBytes);
    const value = Buffer.allocUnsafe(shared + otherBytes);
    earlier.copy(value, 0, 0, shared);
    this.#bytes.copy(value, shared, start, start + otherBytes);
    check(value, shared);
    this.#fields.set(name, value);
    return value;
  }

  #step(bytes: number): number {
    const start = this.#at;
    if (bytes > this.#bytes.length - start) throw new FormatProblem('MALFORMED', 'the script ends early');
    this.#at = start + bytes;
    return start;
  }
}

const NOTHING = Buffer.alloc(0);

/** What comes before the component in which the paths part was checked with the path before. */
function checkNewPart(path: Buffer, shared: number): void {
  const start = shared === 0 ? 0 : path.lastIndexOf(SLASH, shared - 1) + 1;
  const reason = checkPath(start === 0 ? path : path.subarray(start));
  if (reason !== undefined) throw new FormatProblem('HOSTILE', reason);
}

function checkText(value: Buffer): void {
  if (value.includes(0)) throw new FormatProblem('MALFORMED', 'a NUL byte');
}
