import type { Options } from '@bakker/command-line';
import { StorageError } from '../errors.ts';
import type { Keeping } from '../ports/keeping.ts';
import { asAccount, inAccount } from './as-account.ts';
import type { CommandContext } from './command.ts';

/** Taken by commands that work on one account or on all. */
export const WHICH_FLAGS = {
  account: { type: 'string', describe: 'NAME of the account' },
  all: { type: 'boolean', describe: 'every account in the root' },
} as const satisfies Record<string, Options>;

export interface Which {
  readonly account?: string;
  readonly all: boolean;
}

/** What came of each account; `results` are values that JSON can hold. */
export interface Outcomes<Result> {
  readonly results: readonly Result[];
  /** Accounts for which it failed, with the exit status; what went wrong was said. */
  readonly failures: readonly { readonly account: string; readonly exitStatus: number }[];
}

export interface AccountWork<Result> {
  /** The command and its flags, to be said to a process of the account's user. */
  readonly words: (account: string) => readonly string[];
  readonly perform: (account: string, keeping: Keeping) => Promise<Result>;
}

/**
 * Does something for one account, or for all, one after the other, each in the name of its own user: root starts a process
 * for each of several. One that fails does not keep the others from their turn.
 *
 * @throws StorageError USAGE; with one account, what it failed with
 */
export async function eachAccount<Result>(
  context: CommandContext,
  { account, all }: Which,
  { words, perform }: AccountWork<Result>,
): Promise<Outcomes<Result>> {
  const { rootDir, signal } = context;
  if ((account === undefined) === !all) {
    throw new StorageError('USAGE', 'name one account with --account, or take --all');
  }
  if (account !== undefined) {
    const result = await asAccount(context, account, (keeping) => perform(account, keeping));
    return { results: [result], failures: [] };
  }
  const owners = await context.ports.owners();
  const results: Result[] = [];
  const failures: { account: string; exitStatus: number }[] = [];
  for (const name of owners.list(rootDir)) {
    signal.throwIfAborted();
    try {
      if (!owners.isForeign(rootDir, name)) {
        results.push(await inAccount(context, name, (keeping) => perform(name, keeping)));
        continue;
      }
      const { exitStatus, value } = await owners.delegate({ rootDir, account: name, signal }, words(name));
      signal.throwIfAborted();
      // The same program printed it, with the same types.
      if (Array.isArray(value)) results.push(...(value as Result[]));
      else failures.push({ account: name, exitStatus });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof StorageError)) throw error;
      context.note(`bakker-storage: ${name}: ${error.message}`);
      failures.push({ account: name, exitStatus: error.exitStatus });
    }
  }
  return { results, failures };
}

/** That of the first failure, else what the results say. */
export function statusOf<Result>({ failures }: Outcomes<Result>, otherwise = 0): number {
  return failures[0]?.exitStatus ?? otherwise;
}
