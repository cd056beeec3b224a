import { FILE_FLAG, FormatProblem, checkPath } from '@bakker/impl-format/storage';

/** What `put`, `create` and `finish` say of a file in their flags. */
export interface FileFlags {
  readonly isExecutable: boolean;
  /** To be on the disk before it is acknowledged. */
  readonly flush: boolean;
}

/** Reads the fields of a verb's body in order. Buffers are views of it. Everything throws FormatProblem MALFORMED. */
export class BodyReader {
  readonly #body: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#body.length;
  }

  u8(): number {
    return this.#body.readUInt8(this.#step(1));
  }

  u32(): number {
    return this.#body.readUInt32BE(this.#step(4));
  }

  /** A size or an offset. */
  u64(): number {
    const value = this.#body.readBigUInt64BE(this.#step(8));
    if (value > MAX_SAFE) throw new FormatProblem('MALFORMED', 'a number is too large');
    return Number(value);
  }

  /** The same, where all ones stand for no bound. */
  u64OrMost(): number {
    const value = this.#body.readBigUInt64BE(this.#at <= this.#body.length - 8 ? this.#at : this.#step(8));
    if (value !== MOST) return this.u64();
    this.#step(8);
    return Number.MAX_SAFE_INTEGER;
  }

  i64(): bigint {
    return this.#body.readBigInt64BE(this.#step(8));
  }

  flags(): FileFlags {
    const flags = this.u8();
    if (flags > (FILE_FLAG.EXECUTABLE | FILE_FLAG.FLUSH)) {
      throw new FormatProblem('MALFORMED', 'a flag is unknown');
    }
    return { isExecutable: (flags & FILE_FLAG.EXECUTABLE) !== 0, flush: (flags & FILE_FLAG.FLUSH) !== 0 };
  }

  string(): Buffer {
    const length = this.u32();
    const start = this.#step(length);
    return this.#body.subarray(start, start + length);
  }

  /** @throws FormatProblem HOSTILE, too, for a path that leaves its place */
  path(): Buffer {
    const path = this.string();
    const reason = checkPath(path);
    if (reason !== undefined) throw new FormatProblem('HOSTILE', reason);
    return path;
  }

  /** All that is left. */
  rest(): Buffer {
    return this.#body.subarray(this.#step(this.#body.length - this.#at));
  }

  end(): void {
    if (this.#at !== this.#body.length)
      throw new FormatProblem('MALFORMED', 'the body goes on after its end');
  }

  #step(bytes: number): number {
    const start = this.#at;
    if (bytes > this.#body.length - start) throw new FormatProblem('MALFORMED', 'the body ends early');
    this.#at = start + bytes;
    return start;
  }
}

const MOST = 2n ** 64n - 1n;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
