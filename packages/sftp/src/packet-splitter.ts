import { MalformedPacket } from './errors.ts';
import { readU32 } from './packet-reader.ts';

/** Takes a packet without its length: the bytes from `start` to `end`. */
export type PacketSink = (buffer: Buffer, start: number, end: number) => void;

/**
 * Cuts a stream of chunks into packets. A packet that lies whole in a chunk is not copied; one that spans chunks is
 * gathered in a buffer of its size, so no byte is copied twice. Holds at most one packet.
 */
export class PacketSplitter {
  readonly #maxPacketBytes: number;
  readonly #sink: PacketSink;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthFilled = 0;
  #partial: Buffer | undefined;
  #partialFilled = 0;

  constructor(maxPacketBytes: number, sink: PacketSink) {
    this.#maxPacketBytes = maxPacketBytes;
    this.#sink = sink;
  }

  /** Whether the stream stands within a packet. */
  get midPacket(): boolean {
    return this.#lengthFilled > 0 || this.#partial !== undefined;
  }

  /** @throws MalformedPacket for a length that no packet has; the splitter is of no use after it */
  push(chunk: Buffer): void {
    let at = this.midPacket ? this.#continue(chunk) : 0;
    while (chunk.length - at >= LENGTH_BYTES) {
      const packetBytes = this.#checked(readU32(chunk, at));
      const start = at + LENGTH_BYTES;
      if (chunk.length - start < packetBytes) {
        this.#gather(packetBytes, chunk, start);
        return;
      }
      at = start + packetBytes;
      this.#sink(chunk, start, at);
    }
    if (at < chunk.length) this.#lengthFilled = chunk.copy(this.#length, 0, at);
  }

  /** Returns where the next packet starts in the chunk. */
  #continue(chunk: Buffer): number {
    let at = 0;
    if (this.#partial === undefined) {
      at = Math.min(LENGTH_BYTES - this.#lengthFilled, chunk.length);
      chunk.copy(this.#length, this.#lengthFilled, 0, at);
      this.#lengthFilled += at;
      if (this.#lengthFilled < LENGTH_BYTES) return at;
      this.#lengthFilled = 0;
      this.#partial = Buffer.allocUnsafe(this.#checked(readU32(this.#length, 0)));
      this.#partialFilled = 0;
    }
    const partial = this.#partial;
    const taken = chunk.copy(partial, this.#partialFilled, at);
    this.#partialFilled += taken;
    if (this.#partialFilled === partial.length) {
      this.#partial = undefined;
      this.#sink(partial, 0, partial.length);
    }
    return at + taken;
  }

  #gather(packetBytes: number, chunk: Buffer, start: number): void {
    this.#partial = Buffer.allocUnsafe(packetBytes);
    this.#partialFilled = chunk.copy(this.#partial, 0, start);
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

const LENGTH_BYTES = 4;
/** Type and id; VERSION: type and version. */
const MIN_PACKET_BYTES = 5;
