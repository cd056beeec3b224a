import { MalformedPacket } from './errors.ts';

/** A cursor over one packet. Reading past its end throws MalformedPacket. One reader serves all packets of a connection. */
export class PacketReader {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** Points at the bytes from `start` to `end`. */
  reset(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  get remainingBytes(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#buffer[this.#advance(1)] ?? 0;
  }

  u32(): number {
    return readU32(this.#buffer, this.#advance(4));
  }

  /** Exact up to 2^53, rounded above. */
  u64(): number {
    return this.u32() * 0x1_0000_0000 + this.u32();
  }

  u64Exact(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** A string of the protocol: length and bytes. A view, good for as long as the packet's buffer is. */
  string(): Buffer {
    const lengthBytes = this.u32();
    const start = this.#advance(lengthBytes);
    return this.#buffer.subarray(start, start + lengthBytes);
  }

  /** All that is left: a view, as `string` gives. */
  rest(): Buffer {
    return this.#buffer.subarray(this.#advance(this.remainingBytes), this.#end);
  }

  /** Continues on a copy of what is left, so that views do not hold the whole chunk that the packet came in. */
  detach(): void {
    const copy = Buffer.from(this.#buffer.subarray(this.#at, this.#end));
    this.reset(copy, 0, copy.length);
  }

  #advance(lengthBytes: number): number {
    const start = this.#at;
    if (lengthBytes > this.#end - start) throw new MalformedPacket('a packet ends before its contents do');
    this.#at = start + lengthBytes;
    return start;
  }
}

/** Big-endian; the caller knows that the bytes are there. */
export function readU32(buffer: Buffer, at: number): number {
  return (
    (((buffer[at] ?? 0) << 24) |
      ((buffer[at + 1] ?? 0) << 16) |
      ((buffer[at + 2] ?? 0) << 8) |
      (buffer[at + 3] ?? 0)) >>>
    0
  );
}
