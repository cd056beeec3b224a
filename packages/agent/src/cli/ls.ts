import type { Entry } from '@bakker/impl-format';
import { pathJson } from '../browse/path-text.ts';
import type { Hits } from '../ports/findings.ts';
import type { Command } from './command.ts';
import { entryJson, longLines } from './entry-lines.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface LsArgs extends ReadingArgs {
  readonly run: string;
  readonly path: string;
}

export const ls: Command<LsArgs, Hits> = {
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
    const listed = (await context.findings()).hits();
    const onChild = (child: Entry) => listed.add({ run, entry: child });
    const { entry } = await mustFind(account, { run, path, onChild });
    if (entry !== undefined && entry.type !== 'directory') await listed.add({ run, entry });
    return listed;
  },
  json: (listed) =>
    Iterator.from(listed).map(({ entry }) => ({ ...pathJson(entry.path), ...entryJson(entry) })),
  render(listed, screen) {
    screen.lines(longLines(listed, screen));
  },
};
