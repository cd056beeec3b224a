import { PACKET } from './protocol.ts';

/**
 * Encodes packets one behind the other into large slabs and hands them out as few pieces. A slab is never written to
 * again where a piece was taken, so a stream may keep the piece for as long as it likes.
 */
export class PacketWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #at = 0;
  #pieceStart = 0;
  #pieces: Buffer[] = [];
  #earlierBytes = 0;

  /** Bytes encoded and not yet taken. */
  get queuedBytes(): number {
    return this.#earlierBytes + this.#at - this.#pieceStart;
  }

  /**
   * Starts a packet. What was announced must follow by the calls below.
   *
   * @param bodyBytes - what follows the id, without the bytes of a payload
   * @param payloadBytes - length of the bytes that `payload` will end the packet with
   */
  begin(type: number, id: number, bodyBytes: number, payloadBytes = 0): void {
    const headerBytes = 9 + bodyBytes;
    this.#reserve(headerBytes + (payloadBytes <= COPIED_PAYLOAD_BYTES ? payloadBytes : 0));
    this.u32(headerBytes + payloadBytes - 4);
    this.#slab[this.#at++] = type;
    this.u32(id);
  }

  /** The greeting, which has a version where other packets have an id. */
  init(version: number): void {
    this.begin(PACKET.INIT, version, 0);
  }

  u32(value: number): void {
    const slab = this.#slab;
    const at = this.#at;
    slab[at] = value >>> 24;
    slab[at + 1] = value >>> 16;
    slab[at + 2] = value >>> 8;
    slab[at + 3] = value;
    this.#at = at + 4;
  }

  /** @param value - an integer from 0 to 2^53 - 1, checked by the caller */
  u64(value: number): void {
    this.u32(Math.floor(value / 0x1_0000_0000));
    this.u32(value);
  }

  u64Exact(value: bigint): void {
    this.u32(Number(BigInt.asUintN(32, value >> 32n)));
    this.u32(Number(BigInt.asUintN(32, value)));
  }

  string(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** The last string of a packet. Large bytes are queued as they are, not copied: they must not change until sent. */
  payload(bytes: Buffer): void {
    this.u32(bytes.length);
    this.tail(bytes);
  }

  /** As `payload`, without a length before the bytes. */
  tail(bytes: Buffer): void {
    if (bytes.length <= COPIED_PAYLOAD_BYTES) {
      this.raw(bytes);
      return;
    }
    this.#cut();
    this.#pieces.push(bytes);
    this.#earlierBytes += bytes.length;
  }

  /** Bytes within a packet without a length of their own; counted by `bodyBytes`. */
  raw(bytes: Uint8Array): void {
    this.#slab.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** All that was encoded since the last call, in order. */
  take(): Buffer[] {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#earlierBytes = 0;
    return pieces;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return;
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#at = 0;
    this.#pieceStart = 0;
  }

  #cut(): void {
    if (this.#at === this.#pieceStart) return;
    this.#pieces.push(this.#slab.subarray(this.#pieceStart, this.#at));
    this.#earlierBytes += this.#at - this.#pieceStart;
    this.#pieceStart = this.#at;
  }
}

const SLAB_BYTES = 256 * 1024;
/** Up to here a copy costs less than one more piece in the stream. */
const COPIED_PAYLOAD_BYTES = 16 * 1024;
