import { StorageError } from '../../errors.ts';
import type { ShellSession } from '../../ports/shell-session.ts';

export const shellSession: ShellSession = {
  async serve({ account }) {
    throw new StorageError('ACCOUNT_UNUSABLE', `the account ${account} can't be served yet`);
  },
};
