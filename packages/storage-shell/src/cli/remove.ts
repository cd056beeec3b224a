import { escapeText } from '@bakker/command-line';
import { parseRunName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { StorageError } from '../errors.ts';
import type { AccountKeeper } from '../ports/account-keeper.ts';
import { asAccount } from './as-account.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account: string;
  readonly run: string;
}

interface Removed {
  readonly account: string;
  readonly removed: string;
}

export const remove: Command<Args, Removed> = {
  usage: 'remove <account> <run>',
  summary: 'Move one run to the trash, whatever the policy says',
  examples: [
    [
      'bakker-storage remove server1 2024_04_18_01',
      'undelete brings it back, for as long as the trash keeps it',
    ],
    [
      'bakker-storage retention --account server1 --empty-trash',
      'delete it for good now, with all in the trash',
    ],
  ],
  positionals: {
    account: { type: 'string', describe: 'NAME of the account' },
    run: { type: 'string', describe: 'the run' },
  },
  flags: {},
  run(context, { account, run: text }) {
    const run = parseRunName(text);
    if (run === undefined)
      throw new StorageError('USAGE', `${escapeText(text)} is no name of a run`, {
        hint: 'write it as 2024_04_18_01',
      });
    return asAccount<Removed>(context, account, async ({ openKeeper }) => {
      using keeper = openKeeper(context.rootDir, account);
      await removeOne(keeper, run, context.nowMs());
      return { account, removed: run };
    });
  },
  json: (result) => [result],
  render({ account, removed }, screen) {
    screen.line(`${removed} of ${account} is in the trash.`);
    screen.line(screen.typedHere(`  bakker-storage undelete ${account} ${removed} brings it back.`));
    screen.line(
      screen.typedHere(`  bakker-storage retention --account ${account} --empty-trash frees its space now.`),
    );
  },
};

/** @throws StorageError DENIED, LOCKED, NOT_FOUND, FULL, FAILED for the only run */
async function removeOne(keeper: AccountKeeper, run: RunName, nowMs: number): Promise<void> {
  await keeper.mend();
  switch (await keeper.remove(run, nowMs)) {
    case 'removed':
      return;
    case 'frozen':
      throw new StorageError('DENIED', `${keeper.account} is frozen: no run of it is removed`, {
        hint: `look at why it is; if all is right, bakker-storage thaw ${keeper.account}`,
      });
    case 'in-use':
      throw new StorageError('LOCKED', `a session compares with ${run} now`, {
        hint: 'run this again when the backup has ended',
      });
    case 'gone':
      throw new StorageError('NOT_FOUND', `${keeper.account} has no run ${run}`, {
        hint: `bakker-storage usage --account ${keeper.account} lists its runs`,
      });
  }
}
