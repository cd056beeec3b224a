import { formatBytes, formatDate, tableLines } from '@bakker/command-line';
import type { HistoryStep } from '../browse/search-runs.ts';
import { AgentError } from '../errors.ts';
import type { Command } from './command.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';
import { entryJson } from './entry-lines.ts';

interface HistoryArgs extends ReadingArgs {
  readonly path: string;
}

export const history: Command<HistoryArgs, readonly HistoryStep[]> = {
  usage: 'history <path>',
  summary: 'Show which runs have a path, and where it changed',
  examples: [['bakker history /etc/passwd', 'one line for each run']],
  positionals: { path: { type: 'string', describe: 'absolute path as it was on the server' } },
  flags: { ...ACCOUNT_FLAG },
  async run(context, args) {
    const { path } = args;
    const { historyOf } = await import('../browse/search-runs.ts');
    const { chooseRuns } = await import('../browse/choose-run.ts');
    const account = await accountOf(context, args);
    const runs = await chooseRuns(account, 'all');
    const steps = await historyOf(account, { runs, path, signal: context.signal });
    // a run that can't be looked into may have it
    if (steps.some(({ change }) => change !== 'absent')) return steps;
    throw new AgentError('PATH_NOT_FOUND', `no run has anything at ${path}`, {
      hint: 'look for it with: bakker find NAME',
    });
  },
  json: (steps) =>
    steps.map(({ run, change, entry }) => ({
      run,
      change,
      ...(entry === undefined ? {} : entryJson(entry)),
    })),
  render(steps, screen) {
    const rows = steps.map(({ run, change, entry }) => [
      run,
      WORDS[change],
      entry === undefined ? '' : formatBytes(entry.sizeBytes),
      entry === undefined ? '' : formatDate(Number(entry.mtimeNs / 1_000_000n)),
    ]);
    for (const line of tableLines(rows, { rightAligned: [2] })) screen.line(line);
  },
};

const WORDS = {
  first: 'first seen',
  content: 'changed',
  metadata: 'new attributes',
  same: 'unchanged',
  absent: 'not there',
  damaged: 'manifest damaged',
  unopened: 'sealed to another key',
} as const;
