import { pathText } from '../browse/path-text.ts';
import type { Refusal } from '../ports/restore-target.ts';

/** A path (relative to `/`) and what is the matter with it. */
export interface PathProblem {
  readonly path: Buffer;
  readonly reason: string;
}

/** What a dry run would do to a path. */
export interface PlannedChange {
  readonly path: Buffer;
  readonly change: 'create' | 'replace' | 'attributes' | 'delete';
}

/** Lists in a report stop growing here: a storage that lost everything must not fill the memory. */
const LONGEST_LIST = 10_000;
const EXAMPLES = 3;

/** What happened so far; counts are exact, lists stop at 10,000. */
export class RestoreReport {
  /** Names made or replaced that are no folders. */
  files = 0;
  /** Content bytes written. */
  bytes = 0;
  /** Names that were right already, or kept as asked. */
  skipped = 0;
  /** Names whose attributes alone were set. */
  mended = 0;
  deleted = 0;
  readonly damaged = new ProblemList();
  /** In the run, but could not be restored here. */
  readonly failed = new ProblemList();
  /** Not in the run, because the backup could not read it. */
  readonly absent = new ProblemList();
  /** Left standing although it should have been deleted. */
  readonly notDeleted = new ProblemList();
  readonly planned: PlannedChange[] = [];
  readonly #refusals = new Map<string, { count: number; examples: string[] }>();

  plan(path: Buffer, change: PlannedChange['change']): void {
    if (this.planned.length < LONGEST_LIST) this.planned.push({ path, change });
  }

  refuse(path: Buffer, refusals: readonly Refusal[]): void {
    for (const { what, code } of refusals) {
      const key = `${what} (${code})`;
      const known = this.#refusals.get(key) ?? { count: 0, examples: [] };
      this.#refusals.set(key, known);
      known.count++;
      if (known.examples.length < EXAMPLES) known.examples.push(pathText(path));
    }
  }

  /** Sentences about everything that is not as in the run, but for damage. */
  warnings(): string[] {
    const warnings: string[] = [];
    for (const [what, { count, examples }] of this.#refusals) {
      const more = count > examples.length ? ', …' : '';
      warnings.push(`could not set ${what} of ${count} ${plural(count)}: ${examples.join(', ')}${more}`);
    }
    warnings.push(...this.failed.sentences('could not be restored'));
    warnings.push(...this.absent.sentences('is not in this run'));
    warnings.push(...this.notDeleted.sentences('was not deleted'));
    return warnings;
  }
}

/** Problems of one kind. */
export class ProblemList {
  readonly items: PathProblem[] = [];
  count = 0;

  add(path: Buffer, reason: string): void {
    this.count++;
    if (this.items.length < LONGEST_LIST) this.items.push({ path: Buffer.from(path), reason });
  }

  sentences(what: string): string[] {
    const sentences = this.items.map(({ path, reason }) => `${pathText(path)} ${what}: ${reason}`);
    const rest = this.count - this.items.length;
    if (rest > 0) sentences.push(`and ${rest} more ${what}`);
    return sentences;
  }
}

function plural(count: number): string {
  return count === 1 ? 'path' : 'paths';
}
