import type { Command } from './command.ts';
import { eachAccount, statusOf } from './each-account.ts';
import type { Outcomes } from './each-account.ts';

interface Args {
  readonly account: string;
  readonly reason?: string;
}

interface Frozen {
  readonly account: string;
  readonly reason: string;
  readonly sinceRun: string | null;
}

export const freeze: Command<Args, Outcomes<Frozen>> = {
  usage: 'freeze <account>',
  summary: 'Keep every run of an account until it is thawed',
  examples: [
    ['bakker-storage freeze server1 --reason "looks encrypted"', 'retention leaves the account alone'],
  ],
  positionals: { account: { type: 'string', describe: 'NAME of the account' } },
  flags: { reason: { type: 'string', describe: 'why, for whoever looks at it later' } },
  run(context, { account, reason = 'frozen by an administrator' }) {
    return eachAccount<Frozen>(
      context,
      { account, all: false },
      {
        words: () => ['freeze', account, '--reason', reason],
        async perform() {
          const { openKeeper } = await context.ports.keeping();
          using keeper = openKeeper(context.rootDir, account);
          const sinceRun = keeper.runs().at(-1)?.run;
          await keeper.freeze({ reason, sinceRun, atMs: context.nowMs() });
          return { account, reason, sinceRun: sinceRun ?? null };
        },
      },
    );
  },
  json: ({ results }) => results,
  render({ results }, screen) {
    for (const { account } of results)
      screen.line(
        screen.typedHere(`${account} is frozen: every run stays until bakker-storage thaw ${account}.`),
      );
  },
  exitStatus: (outcomes) => statusOf(outcomes),
};
