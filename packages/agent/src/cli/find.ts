import { pathJson } from '../browse/path-text.ts';
import type { Hit } from '../browse/search-runs.ts';
import type { Command } from './command.ts';
import { entryJson, longLines } from './entry-lines.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface FindArgs extends ReadingArgs {
  readonly pattern: string;
  readonly from: string;
}

export const find: Command<FindArgs, readonly Hit[]> = {
  usage: 'find <pattern>',
  summary: 'Look for names in the runs',
  examples: [
    ['bakker find "*.kdbx"', 'by name, in all runs'],
    ['bakker find "/home/*/.ssh/*" --from latest', 'by path, in one'],
  ],
  positionals: {
    pattern: { type: 'string', describe: 'a name or a path; * ? ** and [...] are globs' },
  },
  flags: {
    ...ACCOUNT_FLAG,
    from: { type: 'string', requiresArg: true, default: 'all', describe: 'all, latest, a run, or a date' },
  },
  async run(context, args) {
    const { pattern, from } = args;
    const { findInRuns } = await import('../browse/search-runs.ts');
    const { chooseRuns } = await import('../browse/choose-run.ts');
    const { progress, signal } = context;
    const account = await accountOf(context, args);
    const runs = await chooseRuns(account, from);
    const onUnread = (error: Error) => {
      progress.warning(`${error.message}: it was not searched`);
    };
    return Array.fromAsync(findInRuns(account, { runs, pattern, signal, onUnread }));
  },
  json: (hits) => hits.map(({ run, entry }) => ({ run, ...pathJson(entry.path), ...entryJson(entry) })),
  render(hits, screen) {
    for (const [run, found] of Map.groupBy(hits, (hit) => hit.run)) {
      screen.line(`${run}:`);
      const entries = found.map(({ entry }) => entry);
      for (const line of longLines(entries, screen, { paths: true })) screen.line(`  ${line}`);
    }
    if (hits.length === 0) screen.line('Nothing found.');
  },
};
