import { escapeText, formatCounted } from '@bakker/command-line';
import type { RetentionOutcome } from '../retain/apply-retention.ts';
import type { Command } from './command.ts';

interface RetentionArgs {
  readonly dryRun: boolean;
  readonly explain: boolean;
  readonly thaw: boolean;
}

interface Retention extends RetentionOutcome {
  readonly isDryRun: boolean;
  readonly isExplained: boolean;
}

export const retention: Command<RetentionArgs, Retention> = {
  usage: 'retention',
  summary: 'Remove the runs that are old enough to go',
  examples: [
    ['bakker retention --dry-run --explain', 'say of every run whether it stays, and why'],
    ['bakker retention --thaw', 'go on after a run that lost many files was looked at'],
  ],
  positionals: {},
  flags: {
    'dry-run': { type: 'boolean', describe: 'remove nothing' },
    explain: { type: 'boolean', describe: 'say of every run why it stays' },
    thaw: { type: 'boolean', describe: 'go on although a run lost many files: you have looked at it' },
  },
  async run(context, { dryRun, explain, thaw }) {
    const { applyRetention } = await import('../retain/apply-retention.ts');
    const { clock, progress, signal } = context;
    const { retention: policy } = await context.config();
    const state = await context.state();
    const account = await context.account();
    const outcome = await applyRetention(
      { policy, dryRun, thaw },
      { account, state, clock, progress, signal, readingLock: await context.readingLock() },
    );
    return { ...outcome, isDryRun: dryRun, isExplained: explain };
  },
  json: ({ verdicts }) => verdicts.map(({ run, keep, reasons }) => ({ run, keep, reasons })),
  render({ verdicts, frozen, isStorages, isHeld, isDryRun, isExplained }, screen) {
    if (isExplained) {
      const width = Math.max(0, ...verdicts.map(({ run }) => run.length));
      for (const { run, keep, reasons } of verdicts) {
        const word = keep ? 'stays' : isStorages ? 'goes next' : isDryRun ? 'would go' : 'gone';
        screen.line(`${run.padEnd(width)}  ${word.padEnd(9)}  ${escapeText(reasons.join(', '))}`.trimEnd());
      }
    }
    if (isStorages) {
      const runs = formatCounted(verdicts.length, 'run');
      screen.line(
        `The storage retires runs itself, by its own rules and clock: ${runs} there, nothing was removed.`,
      );
      if (frozen !== undefined) screen.line(`It keeps every run for now: ${escapeText(frozen)}.`);
      return;
    }
    if (frozen !== undefined) {
      screen.line(`Retention is frozen: ${escapeText(frozen)}. Every run stays.`);
      screen.line(screen.typedHere('Look at that run; if it is right, bakker retention --thaw goes on.'));
      return;
    }
    if (isHeld)
      screen.line('A restore or verify is under way here: what it may read goes when retention looks next.');
    const gone = verdicts.filter(({ keep }) => !keep).map(({ run }) => run);
    const stay = `${formatCounted(verdicts.length - gone.length, 'run')} ${verdicts.length - gone.length === 1 ? 'stays' : 'stay'}`;
    if (gone.length === 0) screen.line(`Nothing to remove: ${stay}.`);
    else
      screen.line(
        `${isDryRun ? 'Would remove' : 'Removed'} ${formatCounted(gone.length, 'run')}: ${gone.join(', ')}. ${stay}.`,
      );
  },
};
