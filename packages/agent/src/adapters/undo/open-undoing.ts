import type { Clock } from '../../ports/clock.ts';
import type { Undoers } from '../../ports/undo-journal.ts';
import { SERVICE_UNDOERS } from '../services/undoers.ts';
import { volumesUndoers } from '../volumes/undoers.ts';
import { SqliteUndoJournal } from './sqlite-undo-journal.ts';

/** The undo journal with everything that can be undone. */
export interface Undoing extends Disposable {
  readonly journal: SqliteUndoJournal;
  readonly undoers: Undoers;
}

/** Every kind of step that a part of bakker records: whoever adds one adds its undoers here. */
export const UNDOERS: Undoers = { ...SERVICE_UNDOERS, ...volumesUndoers() };

/** @throws AgentError STATE_UNUSABLE */
export function openUndoing(stateDir: string, clock: Clock): Undoing {
  const journal = new SqliteUndoJournal(stateDir, clock);
  return { journal, undoers: UNDOERS, [Symbol.dispose]: () => journal[Symbol.dispose]() };
}
