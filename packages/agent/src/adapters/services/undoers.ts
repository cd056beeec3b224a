import { AgentError } from '../../errors.ts';
import type { JsonValue, UndoContext, Undoers, UndoStep } from '../../ports/undo-journal.ts';
import { run } from './child.ts';
import { endStrays } from './strays.ts';
import { startUnits, thawUnits } from './units.ts';

/** How services are left: each kind of step that they record. */
export const SERVICE_UNDOERS: Undoers = {
  'leave-command': leaveByCommand,
  'end-session': endSession,
  'start-units': (step, context) => startUnits(textsOf(step, 'units'), context),
  'thaw-units': (step, context) => thawUnits(textsOf(step, 'units'), context),
};

/** Ends what still enters, then runs the command that leaves. */
export async function leaveByCommand(step: UndoStep, { signal }: UndoContext): Promise<void> {
  const mark = textOf(step, 'mark');
  if (mark !== undefined) await endStrays(mark, { signal });
  await run({
    argv: textsOf(step, 'argv'),
    user: textOf(step, 'user'),
    cwd: textOf(step, 'cwd'),
    signal,
  });
}

/** Ends the client whose connection holds a lock; the database gives it up by itself then. */
export async function endSession(step: UndoStep, { signal }: UndoContext): Promise<void> {
  const mark = textOf(step, 'mark');
  if (mark === undefined) throw damaged(step);
  await endStrays(mark, { signal });
}

function textOf(step: UndoStep, field: string): string | undefined {
  const value = step[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw damaged(step);
  return value;
}

function textsOf(step: UndoStep, field: string): readonly string[] {
  const value: JsonValue | undefined = step[field];
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string'))
    return value;
  throw damaged(step);
}

function damaged(step: UndoStep): AgentError {
  return new AgentError('RECOVER_INCOMPLETE', `the recorded step "${step.kind}" lacks what it needs`);
}
