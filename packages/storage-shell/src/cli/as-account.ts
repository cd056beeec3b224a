import type { CommandContext } from './command.ts';

/**
 * Does something for one account in the name of its user, whom a process of root's becomes for good: nothing that is
 * left to do after it may need root.
 *
 * @throws StorageError NOT_FOUND, ACCOUNT_UNUSABLE if its folder can't be looked at, FAILED if root may not become its user
 */
export async function asAccount<Result>(
  context: CommandContext,
  account: string,
  perform: () => Promise<Result>,
): Promise<Result> {
  const owners = await context.ports.owners();
  owners.become(context.rootDir, account);
  return await perform();
}
