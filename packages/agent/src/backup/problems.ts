import { escapeName } from '@bakker/command-line';
import type { SourceProblem } from '../ports/source-tree.ts';

/** Problems that are named one by one in the report; beyond it they are counted. */
const MAX_NAMED_PROBLEMS = 100;

/** Says what could not be read or kept changing; the first ones by name. */
export class Problems {
  readonly #onWarning: (text: string) => void;
  readonly #tellsSkipped: boolean;
  /** What the run's entries do not show: paths that it has nothing of, or not all. */
  missingCount = 0;
  #unnamed = 0;
  #named = 0;

  /** @param options - `tellsSkipped`: whether what is left out by rule is named, too */
  constructor(onWarning: (text: string) => void, { tellsSkipped }: { tellsSkipped: boolean }) {
    this.#onWarning = onWarning;
    this.#tellsSkipped = tellsSkipped;
  }

  add(problem: SourceProblem): void {
    if (problem.kind === 'skipped' && !this.#tellsSkipped) return;
    if (problem.kind === 'missing' || problem.kind === 'incomplete') this.missingCount++;
    if (++this.#named > MAX_NAMED_PROBLEMS) {
      this.#unnamed++;
      return;
    }
    this.#onWarning(`/${escapeName(problem.path)}${wordsOf(problem)}`);
  }

  summarise(): void {
    if (this.#unnamed > 0)
      this.#onWarning(
        `${this.#unnamed} more paths ${this.#tellsSkipped ? 'were left out, ' : ''}could not be read or kept changing`,
      );
  }
}

function wordsOf({ kind, code, message }: SourceProblem): string {
  switch (kind) {
    case 'unreadable':
      return ` can't be read (${code})`;
    case 'missing':
      return ` is not in this run: ${message} (${code})`;
    case 'incomplete':
      return ` ${message} (${code})`;
    case 'changing':
      return ` ${message}`;
    case 'skipped':
      return `: ${message}`;
  }
}
