import type { Progress } from '../ports/progress.ts';

/** Passes on what is told, and counts the files of one attempt that are done: sent, or found to be there. */
export class FilesDone implements Progress {
  files = 0;
  readonly #to: Progress;

  constructor(to: Progress) {
    this.#to = to;
  }

  stage(text: string): void {
    this.#to.stage(text);
  }

  expect(total: { files?: number; bytes?: number }): void {
    this.#to.expect(total);
  }

  advance(done: { files?: number; bytes?: number }): void {
    this.files += done.files ?? 0;
    this.#to.advance(done);
  }

  message(text: string): void {
    this.#to.message(text);
  }

  warning(text: string): void {
    this.#to.warning(text);
  }
}
