import { StorageError } from '../errors.ts';

/** One thing to be brought about. What it does is told before it is done. */
export interface Step {
  /** `make the Unix user web1` */
  readonly title: string;
  /** Commands and files, a line each, as `--dry-run` shows them. */
  readonly lines: readonly string[];
  /** Looks only. @throws StorageError if something that is not ours is in the way */
  isDone(): Promise<boolean>;
  do(): Promise<void>;
  /** Called if this step or a later one fails; also where `do` got only half-way. Absent: nothing is left to undo. */
  undo?(): Promise<void>;
}

export interface StepOutcome {
  readonly title: string;
  readonly lines: readonly string[];
  readonly result: 'done' | 'already' | 'would';
}

export interface RunOptions {
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
  /** Told each step before it is done, and what undoing failed at. */
  readonly note: (text: string) => void;
}

/**
 * Does in order what is not done yet. If a step fails, or the signal aborts, what this call did is undone, last first,
 * and the failure is thrown; what an undo failed at is noted and does not keep the others from being undone.
 *
 * @throws what a step throws, or the signal's reason
 */
export async function runSteps(steps: readonly Step[], options: RunOptions): Promise<StepOutcome[]> {
  const outcomes: StepOutcome[] = [];
  const begun: Step[] = [];
  try {
    for (const step of steps) {
      const { title, lines } = step;
      options.signal.throwIfAborted();
      if (await step.isDone()) {
        outcomes.push({ title, lines, result: 'already' });
      } else if (options.isDryRun) {
        outcomes.push({ title, lines, result: 'would' });
      } else {
        options.note(title);
        begun.push(step);
        await step.do();
        outcomes.push({ title, lines, result: 'done' });
      }
    }
    return outcomes;
  } catch (error) {
    const left = await undo(begun, options);
    if (left.length === 0 || !(error instanceof StorageError)) throw error;
    throw new StorageError(error.code, error.message, {
      hint: `${error.hint === undefined ? '' : `${error.hint}; `}left behind, because undoing failed: ${left.join(', ')}`,
      cause: error,
    });
  }
}

/** @returns the titles of steps that could not be undone */
async function undo(begun: readonly Step[], { note }: RunOptions): Promise<string[]> {
  const left: string[] = [];
  for (const step of begun.toReversed()) {
    if (step.undo === undefined) continue;
    try {
      await step.undo();
      note(`undone: ${step.title}`);
    } catch (error) {
      left.push(step.title);
      note(`could not undo "${step.title}": ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return left;
}
