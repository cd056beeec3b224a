import { asAccount } from './as-account.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account: string;
  readonly reason?: string;
}

interface Frozen {
  readonly account: string;
  readonly reason: string;
  readonly sinceRun: string | null;
}

export const freeze: Command<Args, Frozen> = {
  usage: 'freeze <account>',
  summary: 'Keep every run of an account until it is thawed',
  examples: [
    ['bakker-storage freeze server1 --reason "looks encrypted"', 'retention leaves the account alone'],
  ],
  positionals: { account: { type: 'string', describe: 'NAME of the account' } },
  flags: { reason: { type: 'string', describe: 'why, for whoever looks at it later' } },
  run(context, { account, reason = 'frozen by an administrator' }) {
    return asAccount<Frozen>(context, account, async ({ openKeeper }) => {
      using keeper = openKeeper(context.rootDir, account);
      const sinceRun = keeper.runs().at(-1)?.run;
      await keeper.freeze({ reason, sinceRun, atMs: context.nowMs() });
      return { account, reason, sinceRun: sinceRun ?? null };
    });
  },
  json: (result) => [result],
  render({ account }, screen) {
    screen.line(
      screen.typedHere(`${account} is frozen: every run stays until bakker-storage thaw ${account}.`),
    );
  },
};
