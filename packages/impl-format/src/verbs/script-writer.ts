const LENGTHS_BYTES = 4;

/** The operations of a script under construction. Fields leave out what they share with the one before of the same name. */
export class ScriptWriter {
  #bytes: Buffer;
  #length = 0;
  readonly #fields = new Map<string, Buffer>();
  readonly #maxBytes: number;

  /** @param maxBytes - more than this throws RangeError */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32BE(value, this.#length);
  }

  bytes(bytes: Buffer): void {
    this.#reserve(bytes.length);
    bytes.copy(this.#bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A field by its name: what it shares with the last one of that name is not written again. */
  field(name: string, value: Buffer): void {
    const shared = sharedBytes(this.#fields.get(name) ?? NOTHING, value);
    this.#reserve(LENGTHS_BYTES + value.length - shared);
    this.#length = this.#bytes.writeUInt16BE(shared, this.#length);
    this.#length = this.#bytes.writeUInt16BE(value.length - shared, this.#length);
    this.#length += value.copy(this.#bytes, this.#length, shared);
    this.#fields.set(name, value);
  }

  /** What was written; the next script begins, with no fields before it. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
    this.#length = 0;
    this.#fields.clear();
    return taken;
  }

  #reserve(moreBytes: number): void {
    const needed = this.#length + moreBytes;
    if (needed > this.#maxBytes) throw new RangeError(`a script has at most ${this.#maxBytes} bytes`);
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

const INITIAL_BYTES = 4096;
const NOTHING = Buffer.alloc(0);

function sharedBytes(a: Buffer, b: Buffer): number {
  const shorter = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < shorter && a[shared] === b[shared]) shared++;
  return shared;
}
