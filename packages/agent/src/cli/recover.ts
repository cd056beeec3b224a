import { escapeText, formatCounted, formatDate } from '@bakker/command-line';
import { EXIT_STATUS } from '../errors.ts';
import type { PendingUndo, UndoJournal, Undoers } from '../ports/undo-journal.ts';
import type { Recovery } from '../undo/recover.ts';
import type { Command, CommandContext } from './command.ts';

interface Recovered extends Recovery {
  readonly describe: (pending: PendingUndo) => string;
}

export const recover: Command<Record<string, never>, Recovered> = {
  usage: 'recover',
  summary: 'Undo what a run that died has left: start services again, remove snapshots',
  examples: [
    ['bakker recover', 'safe at any time: nothing of a live run is touched'],
    ['bakker recover --json', 'what was undone and what could not be, for a script'],
  ],
  positionals: {},
  flags: {},
  async run(context) {
    const { describeStep, recover: undoAll } = await import('../undo/recover.ts');
    const recovery = await underLock(context, undoAll);
    return { ...recovery, describe: ({ step }) => describeStep(step) };
  },
  json: ({ undone, failed, describe }) => ({
    undone: undone.map((pending) => toJson(pending, describe(pending))),
    failed: failed.map(({ pending, message }) => ({ ...toJson(pending, describe(pending)), message })),
  }),
  render({ undone, failed, describe }, screen) {
    for (const pending of undone) screen.line(`Undone: ${words(pending, describe)}.`);
    for (const { pending, message, hint } of failed) {
      screen.line(`NOT undone: ${words(pending, describe)}: ${escapeText(message)}`);
      if (hint !== undefined) screen.line(`  ${escapeText(screen.typedHere(hint))}`);
    }
    if (undone.length + failed.length === 0) screen.line('Nothing to undo: no run has left anything.');
    if (failed.length > 0) {
      screen.line(
        screen.typedHere(
          `${formatCounted(failed.length, 'step')} stayed; run bakker recover again once the cause is gone.`,
        ),
      );
    }
  },
  exitStatus: ({ failed }) => (failed.length === 0 ? 0 : EXIT_STATUS.RECOVER_INCOMPLETE),
};

/** Whoever holds the lock undoes its own steps itself. */
async function underLock(
  context: CommandContext,
  undoAll: (journal: UndoJournal, undoers: Undoers) => Promise<Recovery>,
): Promise<Recovery> {
  const state = await context.state();
  using _lock = await state.lock('recover');
  const { journal, undoers } = await context.undoing();
  return await undoAll(journal, undoers);
}

function words(pending: PendingUndo, describe: Recovered['describe']): string {
  return `${escapeText(describe(pending))} (since ${formatDate(pending.recordedAtMs)})`;
}

function toJson({ step, recordedAtMs }: PendingUndo, what: string): Record<string, string> {
  return { kind: step.kind, what, recordedAt: new Date(recordedAtMs).toISOString() };
}
