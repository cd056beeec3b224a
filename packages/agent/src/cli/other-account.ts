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
  'identity-key': {
    type: 'string',
    array: true,
    requiresArg: true,
    nargs: 1,
    describe: 'file with a private key that opens what is sealed; can be given several times',
  },
} as const satisfies Record<string, Options>;

export interface ReadingArgs {
  readonly account?: string;
  readonly identityKey?: readonly string[];
}

/** The account of the configuration, or the other one that was named. What is sealed comes out of it in the clear. */
export async function accountOf(
  context: CommandContext,
  { account: other, identityKey = [] }: ReadingArgs,
): Promise<StorageAccount> {
  const { OpeningAccount } = await import('../sealed/opening-account.ts');
  const { ResumingAccount } = await import('../browse/resuming-account.ts');
  const { readingOptions } = await import('../sealed/reading-options.ts');
  const { keptKeyFile } = await import('../keys/key-places.ts');
  const { progress, signal } = context;
  const opened = await (other === undefined ? context.account() : context.otherAccount(other));
  const account = new ResumingAccount(opened, {
    reopen: () => (other === undefined ? context.anotherAccount() : context.otherAccount(other)),
    onCut: (text) => progress.warning(text),
    signal,
  });
  const options = readingOptions({
    account,
    isOwnAndSealed: other === undefined && (await context.config()).encrypt !== undefined,
    identityFiles: identityKey,
    keptFile: keptKeyFile(context.configFile),
    keys: () => context.keys(),
    threads: () => context.sealing(),
    state: () => context.state(),
    warn: (text) => progress.warning(text),
  });
  return new OpeningAccount(account, options);
}
