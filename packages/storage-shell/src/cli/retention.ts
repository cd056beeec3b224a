import { escapeText } from '@bakker/command-line';
import type { Screen } from '@bakker/command-line';
import type { Verdict } from '@bakker/retention';
import type { Command } from './command.ts';
import { WHICH_FLAGS, eachAccount, statusOf } from './each-account.ts';
import type { Outcomes, Which } from './each-account.ts';

interface Args extends Which {
  readonly dryRun: boolean;
  readonly explain: boolean;
  readonly emptyTrash: boolean;
}

/** What JSON shows of one account. */
interface Retired {
  readonly account: string;
  readonly verdicts: readonly Verdict[];
  readonly removed: readonly string[];
  readonly inUse: readonly string[];
  readonly deleted: readonly string[];
  readonly frozen: string | null;
}

interface Result extends Outcomes<Retired> {
  readonly isDryRun: boolean;
  readonly isExplained: boolean;
}

export const retention: Command<Args, Result> = {
  usage: 'retention',
  summary: 'Retire the runs that are old enough, and delete what was in the trash for long enough',
  examples: [
    ['bakker-storage retention --all --dry-run --explain', 'say of every run whether it stays, and why'],
    ['bakker-storage retention --all', 'what the timer does once a day'],
    ['bakker-storage retention --account server1 --empty-trash', 'free the space of removed runs now'],
  ],
  positionals: {},
  flags: {
    ...WHICH_FLAGS,
    'dry-run': { type: 'boolean', describe: 'remove nothing' },
    explain: { type: 'boolean', describe: 'say of every run why it stays' },
    'empty-trash': {
      type: 'boolean',
      describe: 'delete what is in the trash now; undelete finds nothing then',
    },
  },
  async run(context, { account, all, dryRun, explain, emptyTrash }) {
    const { retireRuns } = await import('../retain/retire-runs.ts');
    const outcomes = await eachAccount<Retired>(
      context,
      { all, ...(account === undefined ? {} : { account }) },
      {
        words: (name) => [
          ...['retention', '--account', name],
          ...(dryRun ? ['--dry-run'] : []),
          ...(emptyTrash ? ['--empty-trash'] : []),
        ],
        async perform(name, { openKeeper, stepBack }) {
          stepBack();
          using keeper = openKeeper(context.rootDir, name);
          const { signal } = context;
          const nowMs = context.nowMs();
          const { frozen, ...done } = await retireRuns(keeper, { nowMs, dryRun, emptyTrash, signal });
          if (!dryRun) await keeper.recount({ nowMs, signal });
          return { account: name, ...done, frozen: frozen ?? null };
        },
      },
    );
    return { ...outcomes, isDryRun: dryRun, isExplained: explain };
  },
  json: ({ results }) => results,
  render({ results, failures, isDryRun, isExplained }, screen) {
    for (const result of results) {
      if (isExplained) explain(result, { screen, isDryRun });
      summarise(result, { screen, isDryRun });
    }
    if (results.length + failures.length === 0) screen.line('There was no account to look at.');
  },
  exitStatus: (result) => statusOf(result),
};

interface Telling {
  readonly screen: Screen;
  readonly isDryRun: boolean;
}

function explain({ verdicts, removed }: Retired, { screen, isDryRun }: Telling): void {
  const width = Math.max(0, ...verdicts.map(({ run }) => run.length));
  for (const { run, keep, reasons } of verdicts) {
    const goes = removed.includes(run) ? (isDryRun ? 'would go' : 'gone') : 'goes later';
    screen.line(
      `${run.padEnd(width)}  ${(keep ? 'stays' : goes).padEnd(10)}  ${escapeText(reasons.join(', '))}`.trimEnd(),
    );
  }
}

function summarise(
  { account, verdicts, removed, inUse, deleted, frozen }: Retired,
  { screen, isDryRun }: Telling,
): void {
  if (frozen !== null) {
    screen.line(`${account}: retention is frozen: ${escapeText(frozen)}. Every run stays.`);
    screen.line(
      screen.typedHere(`  Look at that run; if it is right, bakker-storage thaw ${account} goes on.`),
    );
    return;
  }
  const stay = verdicts.length - removed.length;
  const parts = [
    removed.length === 0
      ? 'nothing to remove'
      : `${isDryRun ? 'would remove' : 'removed'} ${removed.join(', ')}`,
    ...(inUse.length === 0 ? [] : [`in use by a session: ${inUse.join(', ')}`]),
    ...(deleted.length === 0
      ? []
      : [`${isDryRun ? 'would delete' : 'deleted'} for good: ${deleted.join(', ')}`]),
    `${stay} ${stay === 1 ? 'run stays' : 'runs stay'}`,
  ];
  screen.line(`${account}: ${parts.join('; ')}.`);
}
