import { pathJson } from '../browse/path-text.ts';
import type { Hits } from '../ports/findings.ts';
import type { Command } from './command.ts';
import { entryJson, longLinesByRun } from './entry-lines.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface FindArgs extends ReadingArgs {
  readonly pattern: string;
  readonly from: string;
}

export const find: Command<FindArgs, Hits> = {
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
    const hits = (await context.findings()).hits();
    for await (const hit of findInRuns(account, { runs, pattern, signal, onUnread })) await hits.add(hit);
    return hits;
  },
  json: (hits) =>
    Iterator.from(hits).map(({ run, entry }) => ({ run, ...pathJson(entry.path), ...entryJson(entry) })),
  render(hits, screen) {
    screen.lines(longLinesByRun(hits, screen));
  },
};
