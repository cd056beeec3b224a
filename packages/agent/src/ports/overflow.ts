/** What memory does not hold, by key. Goes with the process. */
export interface OverflowTable {
  put(key: string, value: Buffer): void;
  /** Gives a value back and forgets it. */
  take(key: string): Buffer | undefined;
  values(): Iterable<Buffer>;
}

/** Each call makes another. */
export type OpenOverflow = () => Promise<OverflowTable>;
