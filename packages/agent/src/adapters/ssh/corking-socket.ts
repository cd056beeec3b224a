import { Socket } from 'node:net';
import { stages } from '../../timings/stages.ts';

/** Sends what is written within one turn of the event loop by one system call: ssh2 writes each packet by itself. */
export class CorkingSocket extends Socket {
  #isCorked = false;

  override write(data: Uint8Array | string, done?: WriteDone): boolean;
  override write(data: Uint8Array | string, encoding?: BufferEncoding, done?: WriteDone): boolean;
  override write(data: Uint8Array | string, second?: BufferEncoding | WriteDone, done?: WriteDone): boolean {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.cork();
      setImmediate(this.#uncork);
    }
    return typeof second === 'function' ? super.write(data, second) : super.write(data, second, done);
  }

  readonly #uncork = (): void => {
    this.#isCorked = false;
    stages.doing('send', () => this.uncork());
  };

  /** Whoever reads is called from here. */
  override push(chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
    return stages.doing('receive', () => super.push(chunk, encoding));
  }
}

type WriteDone = (error?: Error | null) => void;
