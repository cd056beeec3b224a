/** What `space` answers; null for what is not known or not set. */
export interface SpaceFigures {
  readonly totalBytes: number | null;
  readonly freeBytes: number | null;
  readonly freeInodes: number | null;
  readonly limitBytes: number | null;
  readonly usedBytes: number | null;
  readonly requestedBytes: number | null;
}

/** Keeps an account within its limit, and the volume from filling up to its last block. */
export interface SpaceGuard {
  /**
   * Whether so many bytes more may be stored. Cheap: called for every file.
   *
   * @throws StorageError FULL if only the reserve would be left, QUOTA beyond the account's limit
   */
  check(bytes: number): void;
  /**
   * The same for what takes little and completes a run, its folders and its manifest: it may use the reserve, but not all.
   *
   * @throws StorageError FULL, QUOTA
   */
  checkEnding(bytes: number): void;
  /** How much has to go before `check` takes so many bytes; 0 if it takes them, or if it is inodes that are missing. */
  missing(bytes: number): number;
  /** Notes that so many bytes were stored, in one new inode unless told otherwise. */
  used(bytes: number, inodes?: number): void;
  /** As `check`, for blocks that another file has already: the limit counts them, the volume has them once. */
  checkShared(bytes: number): void;
  /** Notes that a file has so many bytes of blocks that the volume had before. */
  usedShared(bytes: number): void;
  /** Notes that what was noted before is not there any more. */
  released(bytes: number, inodes: number): void;
  figures(): SpaceFigures;
  /** Leaves a wish for the administrator, or grants it up to the ceiling. */
  request(bytes: number): Promise<{ readonly grantedBytes: number; readonly limitBytes: number | null }>;
  /** Finds out what the account takes, if that has to be known and nobody has counted. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Whether somebody counts what the account takes, so that what goes has to be told. */
  readonly isCounted: boolean;
  /** Remembers what this session stored, for the next one. */
  save(): void;
  /** The same, waiting for whoever renames in the account: before others may count. @throws StorageError LOCKED */
  flush(): Promise<void>;
}
