import { AgentError } from '../errors.ts';
import type { PendingUndo, UndoJournal, Undoer, Undoers, UndoStep } from '../ports/undo-journal.ts';
import { within } from '../quiesce/within.ts';

/** For steps without a `timeoutMs` of their own. */
const STEP_TIMEOUT_MS = 120_000;

export interface Recovery {
  /** In the order in which they were undone. */
  readonly undone: readonly PendingUndo[];
  /** They stay recorded. */
  readonly failed: readonly FailedUndo[];
}

export interface FailedUndo {
  readonly pending: PendingUndo;
  readonly message: string;
  /** What to do before it is tried again. */
  readonly hint: string | undefined;
}

/**
 * Undoes what a dead run left, services before all else, each newest first. A step that fails stays recorded, and those before it are tried all the same.
 * To be called by whoever holds the run lock: the steps of a live run are its own.
 */
export async function recover(journal: UndoJournal, undoers: Undoers): Promise<Recovery> {
  const undone: PendingUndo[] = [];
  const failed: FailedUndo[] = [];
  // removing a snapshot may take its time, or hang: services do not wait for that
  const inOrder = journal
    .pending()
    .toSorted((a, b) => Number(b.step.isService === true) - Number(a.step.isService === true));
  for (const pending of inOrder) {
    try {
      await undo(pending.step, undoers);
      undone.push(pending);
    } catch (error) {
      failed.push(failedBy(error, pending));
    }
  }
  try {
    await journal.settleOnDisk(undone.map(({ id }) => id));
  } catch (error) {
    failed.push(...undone.splice(0).map((pending) => failedBy(error, pending)));
  }
  return { undone, failed };
}

/**
 * The same at the start of a backup, which can't go on beside leftovers.
 *
 * @param onUndone - told of each step that was undone
 * @throws AgentError RECOVER_INCOMPLETE
 */
export async function recoverOrFail(
  { journal, undoers }: { journal: UndoJournal; undoers: Undoers },
  onUndone: (words: string) => void,
): Promise<void> {
  const { undone, failed } = await recover(journal, undoers);
  for (const { step } of undone) onUndone(describeStep(step));
  const [first] = failed;
  if (first === undefined) return;
  const others = failed.length === 1 ? '' : ` (and ${failed.length - 1} more)`;
  throw new AgentError(
    'RECOVER_INCOMPLETE',
    `what an earlier run left could not be undone: ${describeStep(first.pending.step)}: ${first.message}${others}`,
    {
      hint: `${first.hint === undefined ? '' : `${first.hint}; `}bakker recover tries again and lists every step`,
    },
  );
}

/** What undoing the step means, in words: its field `what`, or its kind. */
export function describeStep(step: UndoStep): string {
  const what = step['what'];
  return typeof what === 'string' ? what : step.kind;
}

function failedBy(error: unknown, pending: PendingUndo): FailedUndo {
  const message = error instanceof Error ? error.message : String(error);
  return { pending, message, hint: error instanceof AgentError ? error.hint : undefined };
}

async function undo(step: UndoStep, undoers: Undoers): Promise<void> {
  const undoer: Undoer | undefined = Object.hasOwn(undoers, step.kind) ? undoers[step.kind] : undefined;
  if (undoer === undefined) {
    throw new AgentError('RECOVER_INCOMPLETE', `this version of bakker can't undo "${step.kind}"`);
  }
  const given = step['timeoutMs'];
  const timeoutMs = typeof given === 'number' && given > 0 ? given : STEP_TIMEOUT_MS;
  await within((signal) => undoer(step, { signal }), {
    timeoutMs,
    what: describeStep(step),
    hint: 'see what it waits for',
  });
}
