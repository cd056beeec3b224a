import { whatFailed } from '@bakker/command-line';
import type { Keeping } from '../ports/keeping.ts';
import { accountFailure } from './account-failure.ts';
import type { CommandContext } from './command.ts';

type Perform<Result> = (keeping: Keeping) => Promise<Result>;

/**
 * Does something for one account in the name of its user, whom a process of root's becomes for good: nothing that is
 * left to do after it may need root. What it is done with is loaded before, from root's cache of compiled code, which that
 * user can't read.
 *
 * @throws StorageError NOT_FOUND, ACCOUNT_UNUSABLE if its folder can't be looked at, FAILED if root may not become its user;
 *   as `inAccount`
 */
export async function asAccount<Result>(
  context: CommandContext,
  account: string,
  perform: Perform<Result>,
): Promise<Result> {
  const { rootDir, ports } = context;
  const [owners] = await Promise.all([ports.owners(), ports.keeping()]);
  owners.become(rootDir, account);
  return await inAccount(context, account, perform);
}

/** Does something for an account as who this process is. @throws what `perform` throws, in words if it is of the account's files or disk */
export async function inAccount<Result>(
  { ports, signal }: CommandContext,
  account: string,
  perform: Perform<Result>,
): Promise<Result> {
  try {
    return await perform(await ports.keeping());
  } catch (error) {
    signal.throwIfAborted();
    throw accountFailure(account, whatFailed(error, signal));
  }
}
