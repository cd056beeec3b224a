import type { Options } from '@bakker/command-line';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { CommandContext } from './command.ts';

/** Taken by commands that only read. */
export const ACCOUNT_FLAG = {
  account: {
    type: 'string',
    requiresArg: true,
    describe: 'read another account on the same storage, which this server was granted: its NAME or address',
  },
} as const satisfies Record<string, Options>;

export interface ReadingArgs {
  readonly account?: string;
}

/** The account of the configuration, or the other one that was named. */
export function accountOf(context: CommandContext, { account }: ReadingArgs): Promise<StorageAccount> {
  return account === undefined ? context.account() : context.otherAccount(account);
}
