import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { JobThread } from '@bakker/linux';
import type { HashAnswer, HashOrder } from './hash-thread.ts';

/** As many large files as are read at once. */
const MOST_THREADS = 4;

/** SHA-256 of one file, computed on another thread. */
export class ThreadHash {
  readonly #thread: HashThread;
  readonly #file: number;
  #isOpen = true;

  constructor(thread: HashThread, file: number) {
    this.#thread = thread;
    this.#file = file;
    thread.files++;
  }

  /** Takes memory of its own away from the caller. @returns it again, hashed; pieces come back in their order */
  async update(offsetBytes: number, bytes: Buffer): Promise<Buffer> {
    const answer = await this.#thread.ask({ file: this.#file, offsetBytes, bytes }, [bytes.buffer]);
    if (!answer || !('bytes' in answer)) throw new Error('the hashing thread answered something else');
    const { buffer, byteOffset, length } = answer.bytes;
    return Buffer.from(buffer, byteOffset, length);
  }

  /** @param sizeBytes - of the file: the rest up to it is a hole */
  async finish(sizeBytes: number): Promise<Buffer> {
    const answer = await this.#thread.ask({ file: this.#file, sizeBytes });
    this.#close();
    if (!answer || !('sha256' in answer)) throw new Error('the hashing thread answered something else');
    return Buffer.from(answer.sha256);
  }

  /** No more comes. After `finish` it does nothing. */
  giveUp(): void {
    // nobody waits for it
    if (this.#isOpen) this.#thread.ask({ file: this.#file, isGivenUp: true }).catch(() => undefined);
    this.#close();
  }

  #close(): void {
    if (this.#isOpen) this.#thread.files--;
    this.#isOpen = false;
  }
}

/** Starts to hash a file on the thread that has the least to do. Threads are started when they are needed, and stay. */
export function hashOnThread(): ThreadHash {
  const most = Math.min(MOST_THREADS, availableParallelism());
  let [thread] = threads;
  for (const other of threads) if (thread && other.files < thread.files) thread = other;
  if (thread === undefined || (thread.files > 0 && threads.length < most)) {
    thread = new HashThread();
    threads.push(thread);
  }
  return new ThreadHash(thread, nextFile++);
}

class HashThread {
  /** Under way. */
  files = 0;
  readonly #thread = new JobThread<HashOrder, HashAnswer>({
    program: new URL(`./hash-thread${extname(import.meta.url)}`, import.meta.url),
    youngMebibytes: 2,
    does: 'hashes files',
  });

  ask(order: HashOrder, moved: readonly ArrayBufferLike[] = []): Promise<HashAnswer> {
    return this.#thread.ask(order, moved as ArrayBuffer[]);
  }
}

const threads: HashThread[] = [];
let nextFile = 0;
