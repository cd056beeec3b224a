import { LibcError } from '@bakker/linux';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ContentAnswer, ContentFailure, ContentJob, ContentTask } from './content-job.ts';

/** A thread that does tasks one after the other. It is started by the first, for most sessions have none. */
export class ContentThread implements AsyncDisposable {
  readonly #waiting = new Map<number, PromiseWithResolvers<number | Uint8Array>>();
  #worker: Worker | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isDisposed = false;
  #last = 0;

  /** @throws LibcError, errno errors */
  async count(task: ContentTask): Promise<number> {
    const value = await this.#do(task);
    if (typeof value !== 'number') throw new Error(`no number for ${task.kind}`);
    return value;
  }

  async digest(hash: number): Promise<Buffer> {
    const value = await this.#do({ kind: 'digest', hash });
    if (typeof value === 'number') throw new Error('no digest');
    return Buffer.from(value);
  }

  /** Stores what `table` says of `memory`, which is moved away. @returns hashes, one behind the other. @throws as `count` */
  async store(task: Omit<ContentTask & { kind: 'store' }, 'kind'>): Promise<Buffer> {
    const value = await this.#do({ kind: 'store', ...task }, [task.memory]);
    if (typeof value === 'number') throw new Error('no hashes');
    return Buffer.from(value.buffer, value.byteOffset, value.length);
  }

  /** Nobody waits for it. */
  forget(hash: number): void {
    this.#do({ kind: 'forget', hash }).catch(() => undefined);
  }

  /** Ends the thread after what it was asked for. It is not terminated: within a call of koffi that takes the process with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    // The process has to wait for its end, even with nothing else to do.
    this.#worker?.ref();
    this.#worker?.postMessage('end');
    await this.#ended;
  }

  #do(task: ContentTask, moved: readonly ArrayBuffer[] = []): Promise<number | Uint8Array> {
    if (this.#isDisposed) return Promise.reject(new Error('the run is closed'));
    const worker = (this.#worker ??= this.#start());
    const answered = Promise.withResolvers<number | Uint8Array>();
    const job: ContentJob = { number: ++this.#last, task };
    this.#waiting.set(job.number, answered);
    worker.ref();
    worker.postMessage(job, moved);
    return answered.promise;
  }

  #start(): Worker {
    const program = new URL(`./content-program${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(program, {
      trackUnmanagedFds: false, // libc opens what Node closes
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
    });
    worker.on('message', (answer: ContentAnswer) => {
      const waiting = this.#waiting.get(answer.number);
      this.#waiting.delete(answer.number);
      if ('failure' in answer) waiting?.reject(asError(answer.failure));
      else waiting?.resolve(answer.value);
      if (this.#waiting.size === 0 && !this.#isDisposed) worker.unref();
    });
    let failure: unknown;
    worker.on('error', (error: unknown) => {
      failure = error;
    });
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        for (const { reject } of this.#waiting.values())
          reject(failure ?? new Error('a thread that copies content has ended'));
        this.#waiting.clear();
        this.#worker = undefined;
        resolve();
      });
    });
    return worker;
  }
}

function asError(failure: ContentFailure): Error {
  if ('call' in failure) return new LibcError(failure.call, failure.errno);
  const error = new Error(failure.message);
  return 'code' in failure ? Object.assign(error, { code: failure.code }) : error;
}
