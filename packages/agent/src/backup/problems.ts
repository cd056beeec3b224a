import { escapeName } from '@bakker/command-line';
import type { SourceProblem } from '../ports/source-tree.ts';

/** Problems that are named one by one in the report; beyond it they are counted. */
const MAX_NAMED_PROBLEMS = 100;

/** Says what could not be read or kept changing; the first ones by name. */
export class Problems {
  readonly #onWarning: (text: string) => void;
  #unnamed = 0;
  #named = 0;

  constructor(onWarning: (text: string) => void) {
    this.#onWarning = onWarning;
  }

  add(problem: SourceProblem): void {
    if (problem.kind === 'skipped') return;
    if (++this.#named > MAX_NAMED_PROBLEMS) {
      this.#unnamed++;
      return;
    }
    const what = problem.kind === 'unreadable' ? `can't be read (${problem.code})` : problem.message;
    this.#onWarning(`/${escapeName(problem.path)} ${what}`);
  }

  summarise(): void {
    if (this.#unnamed > 0) this.#onWarning(`${this.#unnamed} more paths could not be read or kept changing`);
  }
}
