import { escapeText } from '@bakker/command-line';
import { parseRunName } from '@bakker/impl-format/storage';
import { StorageError } from '../errors.ts';
import { asAccount } from './as-account.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account: string;
  readonly run?: string;
}

interface Undeleted {
  readonly account: string;
  readonly broughtBack: string | null;
  /** What can be brought back, oldest removal first. */
  readonly trash: readonly { readonly run: string; readonly removedAt: string }[];
}

export const undelete: Command<Args, Undeleted> = {
  usage: 'undelete <account> [run]',
  summary: 'Bring a removed run back, with manifest and receipt, while it is in the trash',
  examples: [
    ['bakker-storage undelete server1', 'show what can be brought back'],
    ['bakker-storage undelete server1 2024_04_18_01', 'bring it back'],
  ],
  positionals: {
    account: { type: 'string', describe: 'NAME of the account' },
    run: { type: 'string', describe: 'the run; without it, the trash is shown' },
  },
  flags: {},
  run(context, { account, run: text }) {
    const run = text === undefined ? undefined : parseRunName(text);
    if (text !== undefined && run === undefined)
      throw new StorageError('USAGE', `${escapeText(text)} is no name of a run`, {
        hint: 'write it as 2024_04_18_01',
      });
    return asAccount<Undeleted>(context, account, async ({ openKeeper }) => {
      using keeper = openKeeper(context.rootDir, account);
      if (run !== undefined) await keeper.bringBack(run);
      const trash = keeper
        .trash()
        .filter(({ isWhole }) => isWhole)
        .map((entry) => ({ run: entry.run, removedAt: new Date(entry.trashedAtMs).toISOString() }));
      return { account, broughtBack: run ?? null, trash };
    });
  },
  json: (result) => [result],
  render({ account, broughtBack, trash }, screen) {
    if (broughtBack !== null) {
      screen.line(`${broughtBack} is back in ${account}.`);
      screen.line(screen.typedHere('  The next retention judges it again: bakker-storage freeze keeps it.'));
      return;
    }
    if (trash.length === 0) screen.line(`There is nothing in the trash of ${account}.`);
    for (const { run, removedAt } of trash) screen.line(`${run}  removed ${removedAt}`);
  },
};
