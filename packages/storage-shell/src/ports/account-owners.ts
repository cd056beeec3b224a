/** What a process that was started for one account came to. */
export interface DelegateEnd {
  readonly exitStatus: number;
  /** What it printed as JSON; undefined if it failed. */
  readonly value: unknown;
}

/** Who the accounts belong to: work on them is done in their names, whoever asked for it. */
export interface AccountOwners {
  /** Folders in the root that are accounts, or can't be looked at, sorted. @throws StorageError NOT_FOUND if there is no such root */
  list(rootDir: string): string[];
  /**
   * Makes this process that of the account's user, for good, if it is root's. It leaves all groups of root's first.
   *
   * @throws StorageError NOT_FOUND, ACCOUNT_UNUSABLE if its folder can't be looked at, FAILED if the system refuses
   */
  become(rootDir: string, account: string): void;
  /**
   * Whether this process is not the account's user, but root, and so has to start one that is.
   *
   * @throws StorageError NOT_FOUND, ACCOUNT_UNUSABLE if its folder can't be looked at
   */
  isForeign(rootDir: string, account: string): boolean;
  /** Starts this program again as the account's user. Its messages go to standard error. */
  delegate(
    options: { rootDir: string; account: string; signal: AbortSignal },
    words: readonly string[],
  ): Promise<DelegateEnd>;
}
