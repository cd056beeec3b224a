import { formatCounted } from '@bakker/command-line';
import type { Screen } from '@bakker/command-line';
import { pathJson } from '../browse/path-text.ts';
import type { Difference, Differences } from '../ports/findings.ts';
import type { Command } from './command.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface DiffArgs extends ReadingArgs {
  readonly before: string;
  readonly after: string;
}

export const diff: Command<DiffArgs, Differences> = {
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
    const differences = await (await context.findings()).differences();
    await diffRuns(account, { before, after, differences });
    return differences;
  },
  json: (differences) => Iterator.from(differences).map(differenceJson),
  render(differences, screen) {
    const { count } = differences;
    screen.lines(Iterator.from(differences).map((one) => differenceLine(one, screen)));
    screen.line(count === 0 ? 'No difference.' : `${formatCounted(count, 'path differs', 'paths differ')}.`);
  },
};

function differenceJson({ path, change, from }: Difference): Record<string, unknown> {
  if (from === undefined) return { ...pathJson(path), change };
  const { path: fromText, pathBase64 } = pathJson(from);
  const exact = pathBase64 === undefined ? {} : { fromBase64: pathBase64 };
  return { ...pathJson(path), change, from: fromText, ...exact };
}

function differenceLine({ path, change, from }: Difference, screen: Screen): string {
  const origin = from === undefined ? '' : `  (was /${screen.name(from)})`;
  return `${change.padEnd(8)}  /${screen.name(path)}${origin}`;
}
