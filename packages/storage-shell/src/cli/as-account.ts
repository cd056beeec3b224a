import type { Keeping } from '../ports/keeping.ts';
import type { CommandContext } from './command.ts';

/**
 * Does something for one account in the name of its user, whom a process of root's becomes for good: nothing that is
 * left to do after it may need root. What it is done with is loaded before, from root's cache of compiled code, which that
 * user can't read.
 *
 * @throws StorageError NOT_FOUND, ACCOUNT_UNUSABLE if its folder can't be looked at, FAILED if root may not become its user
 */
export async function asAccount<Result>(
  { rootDir, ports }: CommandContext,
  account: string,
  perform: (keeping: Keeping) => Promise<Result>,
): Promise<Result> {
  const [owners, keeping] = await Promise.all([ports.owners(), ports.keeping()]);
  owners.become(rootDir, account);
  return await perform(keeping);
}
