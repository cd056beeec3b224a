import type { FolderJob } from './folder-job.ts';

/** Jobs that wait; who makes more waits, too. */
const MAX_JOBS = 256;

/** Folders that wait to be cloned, and who waits until there are fewer. */
export class JobQueue {
  #jobs: FolderJob[] = [];
  #room: (() => void)[] = [];

  get length(): number {
    return this.#jobs.length;
  }

  add(job: FolderJob): void {
    this.#jobs.push(job);
  }

  /** Takes the first of them out, at most `count`. */
  take(count: number): FolderJob[] {
    const jobs = this.#jobs.splice(0, count);
    if (this.#jobs.length < MAX_JOBS) this.#wake();
    return jobs;
  }

  /** Undefined when more jobs may be added; else resolves when so. */
  ready(): Promise<void> | undefined {
    if (this.#jobs.length < MAX_JOBS) return undefined;
    return new Promise((resolve) => this.#room.push(resolve));
  }

  /** Nobody does what is left. */
  clear(): void {
    this.#jobs = [];
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const resolve of waiting) resolve();
  }
}
