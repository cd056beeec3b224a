import type { Readable, Writable } from 'node:stream';
import { Duplex } from 'node:stream';

/**
 * One duplex of a program's standard streams, for a server or an `ssh -s` that was spawned. It ends when the output ends.
 * Leaner than `Duplex.from`, which wraps each chunk in promises.
 *
 * @param from - what the program says (`child.stdout`)
 * @param to - what it is told (`child.stdin`)
 */
export function joinStreams(from: Readable, to: Writable): Duplex {
  return new JoinedStreams(from, to);
}

class JoinedStreams extends Duplex {
  readonly #from: Readable;
  readonly #to: Writable;

  constructor(from: Readable, to: Writable) {
    super({ readableHighWaterMark: 1024 * 1024, writableHighWaterMark: HIGH_WATER_BYTES });
    this.#from = from;
    this.#to = to;
    from.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) from.pause();
    });
    from.on('end', () => {
      this.push(null);
    });
    from.on('close', () => {
      // A stream that is destroyed says no 'end'.
      if (!this.readableEnded) this.push(null);
    });
    for (const stream of [from, to]) {
      stream.on('error', (error) => {
        this.destroy(error);
      });
    }
  }

  override _read(): void {
    this.#from.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#to.write(chunk, done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#to.cork();
    const last = chunks.length - 1;
    for (const [index, { chunk }] of chunks.entries())
      this.#to.write(chunk, index === last ? done : undefined);
    this.#to.uncork();
  }

  override _final(done: () => void): void {
    this.#to.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#from.destroy();
    this.#to.destroy();
    done(error);
  }
}

const HIGH_WATER_BYTES = 1024 * 1024;
