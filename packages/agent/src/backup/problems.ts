import { escapeName } from '@bakker/command-line';
import type { SourceProblem } from '../ports/source-tree.ts';

/** Problems that are named one by one in the report; beyond it they are counted. */
const MAX_NAMED_PROBLEMS = 100;

/** Says what could not be read or kept changing; the first ones by name. */
export class Problems {
  readonly #onWarning: (text: string) => void;
  readonly #tellsSkipped: boolean;
  #unnamed = 0;
  #named = 0;

  /** @param options - `tellsSkipped`: whether what is left out by rule is named, too */
  constructor(onWarning: (text: string) => void, { tellsSkipped }: { tellsSkipped: boolean }) {
    this.#onWarning = onWarning;
    this.#tellsSkipped = tellsSkipped;
  }

  add(problem: SourceProblem): void {
    if (problem.kind === 'skipped' && !this.#tellsSkipped) return;
    if (++this.#named > MAX_NAMED_PROBLEMS) {
      this.#unnamed++;
      return;
    }
    const what = problem.kind === 'unreadable' ? `can't be read (${problem.code})` : problem.message;
    const name = `/${escapeName(problem.path)}`;
    this.#onWarning(problem.kind === 'skipped' ? `${name}: ${what}` : `${name} ${what}`);
  }

  summarise(): void {
    if (this.#unnamed > 0)
      this.#onWarning(
        `${this.#unnamed} more paths ${this.#tellsSkipped ? 'were left out, ' : ''}could not be read or kept changing`,
      );
  }
}
