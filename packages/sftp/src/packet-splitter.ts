import { MalformedPacket } from './errors.ts';
import { readU32 } from './packet-reader.ts';

/**
 * Cuts a stream of chunks into packets, as many at a time as the caller likes. A packet that lies whole in a chunk is not
 * copied; one that spans chunks is gathered in a buffer of its size, so no byte is copied twice. Holds one chunk and one packet.
 */
export class PacketSplitter {
  /** The packet that `next` found, without its length: the bytes of `buffer` from `start` to `end`. */
  buffer: Buffer = NOTHING;
  start = 0;
  end = 0;
  /** Whether `buffer` is memory of this packet alone. */
  isOwn = false;
  readonly #maxPacketBytes: number;
  #chunk: Buffer = NOTHING;
  #at = 0;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthFilled = 0;
  #partial: Buffer | undefined;
  #partialFilled = 0;

  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /** Once `next` found nothing more: whether the stream stands within a packet. */
  get midPacket(): boolean {
    return this.#lengthFilled > 0 || this.#partial !== undefined;
  }

  /** To be called when `next` found nothing more in the chunk before. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * Finds the next packet that ends in this chunk; false when there is none.
   *
   * @throws MalformedPacket for a length that no packet has; the splitter is of no use after it
   */
  next(): boolean {
    if (this.midPacket) return this.#continue();
    const chunk = this.#chunk;
    const leftBytes = chunk.length - this.#at;
    if (leftBytes < LENGTH_BYTES) {
      if (leftBytes > 0) this.#lengthFilled = chunk.copy(this.#length, 0, this.#at);
      return this.#exhausted();
    }
    const packetBytes = this.#checked(readU32(chunk, this.#at));
    const start = this.#at + LENGTH_BYTES;
    if (leftBytes - LENGTH_BYTES < packetBytes) {
      this.#partial = Buffer.allocUnsafe(packetBytes);
      this.#partialFilled = chunk.copy(this.#partial, 0, start);
      return this.#exhausted();
    }
    this.#at = start + packetBytes;
    this.isOwn = false;
    return this.#found(chunk, start, this.#at);
  }

  #continue(): boolean {
    const chunk = this.#chunk;
    if (this.#partial === undefined) {
      const missing = LENGTH_BYTES - this.#lengthFilled;
      const taken = chunk.copy(this.#length, this.#lengthFilled, this.#at, this.#at + missing);
      this.#at += taken;
      this.#lengthFilled += taken;
      if (this.#lengthFilled < LENGTH_BYTES) return this.#exhausted();
      this.#partial = Buffer.allocUnsafe(this.#checked(readU32(this.#length, 0)));
      this.#partialFilled = 0;
      this.#lengthFilled = 0;
    }
    const partial = this.#partial;
    const taken = chunk.copy(partial, this.#partialFilled, this.#at);
    this.#at += taken;
    this.#partialFilled += taken;
    if (this.#partialFilled < partial.length) return this.#exhausted();
    this.#partial = undefined;
    this.isOwn = partial.length === partial.buffer.byteLength;
    return this.#found(partial, 0, partial.length);
  }

  #found(buffer: Buffer, start: number, end: number): true {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Lets go of what was read: an idle stream holds nothing. */
  #exhausted(): false {
    this.#chunk = NOTHING;
    this.#at = 0;
    this.buffer = NOTHING;
    return false;
  }

  #checked(packetBytes: number): number {
    if (packetBytes < MIN_PACKET_BYTES)
      throw new MalformedPacket(`a packet of only ${packetBytes} bytes came`);
    if (packetBytes > this.#maxPacketBytes) {
      throw new MalformedPacket(`a packet of ${packetBytes} bytes came; ${this.#maxPacketBytes} are allowed`);
    }
    return packetBytes;
  }
}

const NOTHING = Buffer.alloc(0);
const LENGTH_BYTES = 4;
/** Type and id; INIT and VERSION: type and version. */
const MIN_PACKET_BYTES = 5;
