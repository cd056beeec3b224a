import { escapeText } from '@bakker/command-line';
import { asAccount } from './as-account.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account: string;
}

interface Thawed {
  readonly account: string;
  /** What it was frozen for; null if it was not. */
  readonly reason: string | null;
}

export const thaw: Command<Args, Thawed> = {
  usage: 'thaw <account>',
  summary: 'Let retention of a frozen account go on: you have looked at why it stood still',
  examples: [['bakker-storage thaw server1', 'the next retention removes what is old enough']],
  positionals: { account: { type: 'string', describe: 'NAME of the account' } },
  flags: {},
  run(context, { account }) {
    return asAccount<Thawed>(context, account, async ({ openKeeper }) => {
      using keeper = openKeeper(context.rootDir, account);
      return { account, reason: (await keeper.thaw())?.reason ?? null };
    });
  },
  json: (result) => [result],
  render({ account, reason }, screen) {
    if (reason === null) screen.line(`${account} was not frozen.`);
    else screen.line(`${account} is thawed. It was frozen: ${escapeText(reason)}.`);
  },
};
