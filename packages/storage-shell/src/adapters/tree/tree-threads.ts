import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LibcError } from '@bakker/linux';
import {
  SHARED,
  type FolderJob,
  type ThreadAnswer,
  type ThreadFailure,
  type ThreadStart,
} from './folder-job.ts';
import { JobQueue } from './job-queue.ts';
import type { FolderCloner, FolderClonerOptions } from './tree-slices.ts';

/** On ext4, two link 1.6 times as much as one; more only wait for its journal. */
const THREADS = 2;
/** Small jobs are sent together. */
const MAX_BATCH = 16;

/** Threads that clone folders of the parent. They share work: whoever has nothing to do is given a part of another's job. */
export class TreeThreads implements FolderCloner {
  readonly #options: FolderClonerOptions;
  readonly #threads: Worker[];
  readonly #ended: Promise<unknown>;
  readonly #idle: Worker[] = [];
  readonly #shared = new Int32Array(new SharedArrayBuffer(SHARED.COUNT * 4));
  readonly #queue = new JobQueue();
  #isDisposed = false;

  constructor(options: FolderClonerOptions) {
    this.#options = options;
    this.#threads = Array.from({ length: THREADS }, () => this.#start());
    this.#ended = Promise.all(
      this.#threads.map((thread) => new Promise<void>((resolve) => thread.once('exit', () => resolve()))),
    );
    this.#idle.push(...this.#threads);
  }

  submit(job: FolderJob): void {
    this.#queue.add(job);
    this.#send();
  }

  ready(): Promise<void> | undefined {
    return this.#queue.ready();
  }

  copied(): void {
    Atomics.sub(this.#shared, SHARED.FULL, 1);
    Atomics.notify(this.#shared, SHARED.FULL);
  }

  stop(): void {
    Atomics.store(this.#shared, SHARED.STOP, 1);
    // Who waits for copies finds another number, and looks whether to stop.
    Atomics.store(this.#shared, SHARED.FULL, 0);
    Atomics.notify(this.#shared, SHARED.FULL);
    this.#queue.clear();
  }

  /**
   * Stops what is under way, after the call that a thread is in. When it resolves, no thread uses a descriptor any more.
   * Threads end by themselves: one that is terminated within koffi takes the process with it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isDisposed) {
      this.#isDisposed = true;
      this.stop();
      for (const thread of this.#threads) {
        thread.ref();
        thread.postMessage('end');
      }
    }
    await this.#ended;
  }

  #start(): Worker {
    const { parent, run, hurtInodes, measures, emptyFolderBytes } = this.#options;
    const workerData: ThreadStart = {
      ...{ parentFd: parent.fd, runFd: run.fd, hurtInodes, measures, emptyFolderBytes },
      shared: this.#shared,
    };
    const program = new URL(`./tree-thread${extname(import.meta.url)}`, import.meta.url);
    const thread = new Worker(program, {
      workerData,
      trackUnmanagedFds: false, // libc opens what Node closes
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 },
    });
    thread.on('message', (answer: ThreadAnswer) => this.#answered(thread, answer));
    thread.on('error', (error) => this.#options.failed(error));
    thread.on('exit', () => {
      if (!this.#isDisposed) this.#options.failed(new Error('a thread that clones folders has ended'));
    });
    thread.unref();
    return thread;
  }

  #answered(thread: Worker, answer: ThreadAnswer): void {
    switch (answer.kind) {
      case 'share':
        this.#options.shared(answer.job.group);
        this.submit(answer.job);
        break;
      case 'full':
        this.#options.full(answer.group, answer.files);
        break;
      case 'grown':
        this.#options.grown(answer.folder);
        break;
      case 'made':
        this.#options.made(answer.made);
        break;
      case 'done':
        this.#options.done(answer.group, answer.totals);
        break;
      case 'failed':
        this.#options.failed(asError(answer.failure));
        break;
      case 'idle':
        if (this.#isDisposed) break;
        thread.unref(); // who forgets to dispose of it shall not hang
        this.#idle.push(thread);
        this.#send();
        break;
    }
  }

  #send(): void {
    while (this.#queue.length > 0) {
      const thread = this.#idle.pop();
      if (thread === undefined) break;
      const fairShare = Math.ceil(this.#queue.length / THREADS);
      thread.ref();
      thread.postMessage(this.#queue.take(Math.min(fairShare, MAX_BATCH)));
    }
    Atomics.store(this.#shared, SHARED.WANTED, this.#idle.length);
  }
}

function asError(failure: ThreadFailure): Error {
  if ('message' in failure) return new Error(failure.message);
  return new LibcError(failure.call, failure.errno, Buffer.from(failure.folder));
}
