import type { Screen } from '@bakker/command-line';
import type { Entry, RunName } from '@bakker/impl-format';
import { pathJson } from '../browse/path-text.ts';
import type { Command } from './command.ts';
import { entryJson, longLines } from './entry-lines.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface LsArgs extends ReadingArgs {
  readonly run: string;
  readonly path: string;
}

interface Listed {
  readonly run: RunName;
  readonly entries: readonly Entry[];
}

export const ls: Command<LsArgs, Listed> = {
  usage: 'ls <run> [path]',
  summary: 'Show what a folder held in a run',
  examples: [
    ['bakker ls latest /etc', 'as ls -l would have shown it'],
    ['bakker ls 2024-04-19 /home', 'the newest run of that day or before'],
  ],
  positionals: {
    run: { type: 'string', describe: 'latest, a run, or a date' },
    path: { type: 'string', default: '/', describe: 'absolute path as it was on the server' },
  },
  flags: { ...ACCOUNT_FLAG },
  async run(context, args) {
    const { run: from, path } = args;
    const { chooseRun } = await import('../browse/choose-run.ts');
    const { mustFind } = await import('../browse/find-entry.ts');
    const account = await accountOf(context, args);
    const run = await chooseRun(account, from);
    const { entry, children } = await mustFind(account, { run, path });
    return { run, entries: entry === undefined || entry.type === 'directory' ? children : [entry] };
  },
  json: ({ entries }) => entries.map((entry) => ({ ...pathJson(entry.path), ...entryJson(entry) })),
  render({ entries }, screen: Screen) {
    for (const line of longLines(entries, screen)) screen.line(line);
  },
};
