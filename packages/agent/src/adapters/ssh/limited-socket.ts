import type { Bandwidth } from '../../limits/bandwidth.ts';
import { CorkingSocket } from './corking-socket.ts';

type Done = (error?: Error | null) => void;

/**
 * A TCP connection that sends and receives no more than its share. What is written waits for its turn, piece by piece, and
 * holds back who writes by that; what is received too early is passed on, and nothing more is read until it is paid for:
 * the far side then stops by itself.
 */
export class LimitedSocket extends CorkingSocket {
  readonly #bandwidth: Bandwidth;

  constructor(bandwidth: Bandwidth) {
    super();
    this.#bandwidth = bandwidth;
    // several pieces at once would leave as one burst
    if (bandwidth.upload !== undefined) Object.defineProperty(this, '_writev', { value: null });
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: Done): void {
    const waitMs = this.#bandwidth.upload?.take(chunk.length) ?? 0;
    if (waitMs === 0) {
      super._write(chunk, encoding, done);
      return;
    }
    setTimeout(() => {
      if (this.destroyed) done(new Error('the connection is closed'));
      else super._write(chunk, encoding, done);
    }, waitMs);
  }

  /** False keeps Node from reading on by itself; it asks by `_read` then. */
  override push(chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
    const { download } = this.#bandwidth;
    if (chunk === null || download === undefined) return super.push(chunk, encoding);
    download.take(chunk.length);
    return super.push(chunk, encoding) && download.debtMs() === 0;
  }

  override _read(sizeBytes: number): void {
    const waitMs = this.#bandwidth.download?.debtMs() ?? 0;
    if (waitMs === 0) super._read(sizeBytes);
    else
      setTimeout(() => {
        if (!this.destroyed) this._read(sizeBytes); // others may have taken more meanwhile
      }, waitMs);
  }
}
