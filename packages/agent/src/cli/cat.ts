import type { Command } from './command.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface CatArgs extends ReadingArgs {
  readonly run: string;
  readonly path: string;
}

export const cat: Command<CatArgs, undefined> = {
  usage: 'cat <run> <path>',
  summary: 'Write the content of a file in a run to standard output',
  examples: [
    ['bakker cat latest /etc/fstab', 'exactly its bytes; fails with 15 if they are not what was backed up'],
  ],
  positionals: {
    run: { type: 'string', describe: 'latest, a run, or a date' },
    path: { type: 'string', describe: 'absolute path as it was on the server' },
  },
  flags: { ...ACCOUNT_FLAG },
  async run(context, args) {
    const { run: from, path } = args;
    const { chooseRun } = await import('../browse/choose-run.ts');
    const { mustFind } = await import('../browse/find-entry.ts');
    const { streamContent } = await import('../browse/stream-content.ts');
    const { AgentError } = await import('../errors.ts');
    const account = await accountOf(context, args);
    const run = await chooseRun(account, from);
    const { entry } = await mustFind(account, { run, path });
    if (entry === undefined)
      throw new AgentError('PATH_NOT_FOUND', '/ is a folder', { hint: `bakker ls ${run}` });
    await streamContent(account, { run, entry, write: (bytes) => context.writeOut(bytes) });
    return undefined;
  },
  json: () => undefined,
  render: () => undefined,
};
