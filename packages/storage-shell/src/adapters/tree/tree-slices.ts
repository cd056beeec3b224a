import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FolderHandle } from '@bakker/linux';
import type { FolderJob, FolderTotals, FullFile, GrownFolder, MadeInodes, Measures } from './folder-job.ts';
import { MAX_FULL_FILES } from './folder-job.ts';
import { FolderWalk } from './folder-walk.ts';
import { JobQueue } from './job-queue.ts';

/** After so long, others have their turn. */
const SLICE_MS = 5;

export interface FolderClonerOptions {
  readonly parent: FolderHandle;
  readonly run: FolderHandle;
  readonly hurtInodes: ReadonlySet<bigint>;
  readonly measures: Measures;
  /** As FolderWalk's. */
  readonly emptyFolderBytes: number | undefined;
  /** A job has ended well. */
  done(group: number, totals: FolderTotals): void;
  /** A part of a job was given away: there is one job more. */
  shared(group: number): void;
  full(group: number, files: readonly FullFile[]): void;
  grown(folder: GrownFolder): void;
  made(made: MadeInodes): void;
  failed(error: unknown): void;
}

/** Clones folders of the parent. */
export interface FolderCloner extends AsyncDisposable {
  submit(job: FolderJob): void;
  /** Undefined when more jobs may be submitted; else resolves when so. */
  ready(): Promise<void> | undefined;
  /** One of the full files that were told has its copy: so many wait and no more. */
  copied(): void;
  /** Nothing more is made, but by the call that is under way. */
  stop(): void;
}

/**
 * Clones folders on the thread that serves the session, in slices of a few milliseconds. With one or two processors that
 * are busy on both ends of a line anyway, starting threads costs more than they bring.
 */
export class TreeSlices implements FolderCloner {
  readonly #options: FolderClonerOptions;
  readonly #walk: FolderWalk;
  readonly #queue = new JobQueue();
  #working: Promise<void> | undefined;
  #fullFiles = 0;
  #goOn: (() => void) | undefined;
  #isStopped = false;

  constructor(options: FolderClonerOptions) {
    this.#options = options;
    this.#walk = new FolderWalk({
      ...options,
      isStopped: () => this.#isStopped,
      claimWanted: () => false,
      share: () => undefined,
      full: (group, files) => {
        this.#fullFiles += files.length;
        options.full(group, files);
      },
      grown: (folder) => options.grown(folder),
      made: (made) => options.made(made),
    });
  }

  submit(job: FolderJob): void {
    this.#queue.add(job);
    this.#working ??= this.#work();
  }

  ready(): Promise<void> | undefined {
    return this.#queue.ready();
  }

  copied(): void {
    if (--this.#fullFiles < MAX_FULL_FILES) this.#goOn?.();
  }

  stop(): void {
    this.#isStopped = true;
    this.#queue.clear();
    this.#goOn?.();
  }

  /** When it resolves, no descriptor is used any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#working;
  }

  /** Copying takes longer than finding what is to be copied, of which there may be millions. */
  async #copies(): Promise<void> {
    if (!this.#isStopped) await new Promise<void>((resolve) => (this.#goOn = resolve));
    this.#goOn = undefined;
  }

  async #work(): Promise<void> {
    await nextTurn();
    let sliceEndMs = performance.now() + SLICE_MS;
    for (let [job] = this.#queue.take(1); job !== undefined; [job] = this.#queue.take(1)) {
      try {
        const steps = this.#walk.steps(job);
        for (;;) {
          const { done, value } = steps.next();
          if (done === true) {
            this.#options.done(job.group, value);
            break;
          }
          if (this.#fullFiles >= MAX_FULL_FILES) await this.#copies();
          if (performance.now() < sliceEndMs) continue;
          await nextTurn();
          sliceEndMs = performance.now() + SLICE_MS;
        }
      } catch (error) {
        this.#options.failed(error);
      }
    }
    this.#working = undefined;
  }
}
