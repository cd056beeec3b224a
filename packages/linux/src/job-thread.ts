import { setFlagsFromString } from 'node:v8';
import { parentPort, Worker } from 'node:worker_threads';

/** What a job's answer takes along instead of being copied. */
export type Moved = readonly ArrayBuffer[];

export interface JobThreadOptions {
  /** A module that calls `serveJobs`. */
  readonly program: URL;
  readonly workerData?: unknown;
  /** Of its heap: what it holds itself is little. */
  readonly youngMebibytes: number;
  /** For the message where it ends too early: `reads files`. */
  readonly does: string;
}

const OLD_MEBIBYTES = 64;

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A thread that does jobs one after another, and answers each. The first job starts it; while it has nothing to do it keeps
 * no process alive. It is never terminated, for within a call of libc that takes the process with it.
 */
export class JobThread<Job, Answer> implements AsyncDisposable {
  readonly #options: JobThreadOptions;
  /** In the order of the jobs. */
  readonly #waiting: Waiting<Answer>[] = [];
  #worker: Worker | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isDisposed = false;

  constructor(options: JobThreadOptions) {
    this.#options = options;
  }

  /** Rejects where it was disposed of, or ends while the job is under way. */
  ask(job: Job, moved: Moved = []): Promise<Answer> {
    if (this.#isDisposed) return Promise.reject(new Error(`the thread that ${this.#options.does} is closed`));
    const worker = (this.#worker ??= this.#start());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      worker.ref();
      worker.postMessage(job, moved);
    });
  }

  /** Ends it after what it was asked for. Resolves when it uses no descriptor and no memory any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    // The process has to wait for its end, even with nothing else to do.
    this.#worker?.ref();
    this.#worker?.postMessage(END);
    await this.#ended;
  }

  #start(): Worker {
    const { program, workerData, youngMebibytes, does } = this.#options;
    limitYoungGeneration(youngMebibytes);
    const worker = new Worker(program, {
      workerData,
      trackUnmanagedFds: false, // libc opens what Node closes
      resourceLimits: { maxOldGenerationSizeMb: OLD_MEBIBYTES },
    });
    worker.on('message', ({ answer, error }: Reply<Answer>) => {
      const waiting = this.#waiting.shift();
      if (this.#waiting.length === 0 && !this.#isDisposed) worker.unref();
      if (error !== undefined) waiting?.reject(error);
      else waiting?.resolve(answer as Answer);
    });
    let failure: unknown;
    worker.on('error', (error: unknown) => {
      failure = error;
    });
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#worker = undefined;
        for (const { reject } of this.#waiting.splice(0))
          reject(failure ?? new Error(`the thread that ${does} has ended`));
        resolve();
      });
    });
    return worker;
  }
}

/** The heaps of threads to come. What the program itself was started with wins over a Worker's own limits otherwise. */
function limitYoungGeneration(mebibytes: number): void {
  setFlagsFromString(`--min-semi-space-size=${mebibytes}`);
  setFlagsFromString(`--max-semi-space-size=${mebibytes}`);
  setFlagsFromString('--initial-old-space-size=0');
}

/** An answer, or what the job threw. */
interface Reply<Answer> {
  readonly answer?: Answer;
  readonly error?: Error;
}

const END = 'end';

/**
 * The thread's side: does each job as it comes. Outside of a thread it does nothing.
 *
 * @param perform - what it throws reaches the caller as an Error with its message alone
 * @param moved - memory of an answer that goes along instead of being copied
 */
export function serveJobs<Job, Answer>(
  perform: (job: Job) => Answer,
  moved: (answer: Answer) => Moved = () => [],
): void {
  const port = parentPort;
  port?.on('message', (job: Job | typeof END) => {
    if (job === END) {
      port.close();
      return;
    }
    let answer: Answer;
    try {
      answer = perform(job);
    } catch (error) {
      port.postMessage({ error: error instanceof Error ? error : new Error(String(error)) });
      return;
    }
    port.postMessage({ answer }, moved(answer));
  });
}
