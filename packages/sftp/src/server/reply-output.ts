import type { Writable } from 'node:stream';
import { PacketWriter } from '../packet-writer.ts';

/** Replies on their way to the output: gathered, and sent in as few writes as can be. */
export class ReplyOutput {
  readonly writer = new PacketWriter();
  bytesSent = 0;
  readonly #output: Writable;
  readonly #maxUnsentBytes: number;
  readonly #taken: () => void;

  /** @param taken - called, never at once, when the output has taken what was sent */
  constructor(output: Writable, maxUnsentBytes: number, taken: () => void) {
    this.#output = output;
    this.#maxUnsentBytes = maxUnsentBytes;
    this.#taken = taken;
  }

  /** Whether so much waits for the client that nothing should be added. */
  get congested(): boolean {
    return this.#output.writableLength + this.writer.queuedBytes >= this.#maxUnsentBytes;
  }

  flushIfMuch(): void {
    if (this.writer.queuedBytes >= FLUSH_AT_BYTES) this.flush();
  }

  flush(): void {
    if (this.writer.queuedBytes === 0) return;
    const pieces = this.writer.take();
    const last = pieces.pop();
    if (last === undefined) return;
    const output = this.#output;
    if (pieces.length > 0) output.cork();
    for (const piece of pieces) {
      this.bytesSent += piece.length;
      output.write(piece);
    }
    this.bytesSent += last.length;
    output.write(last, this.#taken);
    if (pieces.length > 0) output.uncork();
  }
}

const FLUSH_AT_BYTES = 256 * 1024;
