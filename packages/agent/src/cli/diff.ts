import { formatCounted } from '@bakker/command-line';
import { pathJson } from '../browse/path-text.ts';
import type { Difference } from '../browse/diff-runs.ts';
import type { Command } from './command.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface DiffArgs extends ReadingArgs {
  readonly before: string;
  readonly after: string;
}

export const diff: Command<DiffArgs, readonly Difference[]> = {
  usage: 'diff <before> <after>',
  summary: 'Show what changed between two runs',
  examples: [['bakker diff 2024_04_18_01 latest', 'one line for each path']],
  positionals: {
    before: { type: 'string', describe: 'the older run: latest, a run, or a date' },
    after: { type: 'string', describe: 'the newer run' },
  },
  flags: { ...ACCOUNT_FLAG },
  async run(context, args) {
    const { chooseRun } = await import('../browse/choose-run.ts');
    const { diffRuns } = await import('../browse/diff-runs.ts');
    const account = await accountOf(context, args);
    const before = await chooseRun(account, args.before);
    const after = await chooseRun(account, args.after);
    return diffRuns(account, { before, after });
  },
  json: (differences) =>
    differences.map(({ path, change, from }) => {
      if (from === undefined) return { ...pathJson(path), change };
      const { path: fromText, pathBase64 } = pathJson(from);
      const exact = pathBase64 === undefined ? {} : { fromBase64: pathBase64 };
      return { ...pathJson(path), change, from: fromText, ...exact };
    }),
  render(differences, screen) {
    for (const { path, change, from } of differences) {
      const origin = from === undefined ? '' : `  (was /${screen.name(from)})`;
      screen.line(`${change.padEnd(8)}  /${screen.name(path)}${origin}`);
    }
    screen.line(
      differences.length === 0
        ? 'No difference.'
        : `${formatCounted(differences.length, 'path differs', 'paths differ')}.`,
    );
  },
};
