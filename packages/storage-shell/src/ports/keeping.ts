import type { AccountKeeper } from './account-keeper.ts';
import type { StoredContent } from './stored-content.ts';

/** Opens accounts for those who keep them: retention, scrub, and their administrator. */
export interface Keeping {
  /** Lets everything else on the machine go first, from here on. */
  readonly stepBack: () => void;
  /** @throws StorageError NOT_FOUND if there is no such account */
  readonly openKeeper: (rootDir: string, account: string) => AccountKeeper;
  /** @throws StorageError NOT_FOUND if there is no such account */
  readonly openContent: (rootDir: string, account: string) => StoredContent;
}
