import type { Keyring, RunKey } from '@bakker/impl-format/sealed';

/** A small content as it is to be stored. */
export interface SealedContent {
  readonly bytes: Buffer;
  /** Of `bytes`, if it was asked for. */
  readonly sha256?: Buffer;
}

/** Seals small contents of one run. */
export interface SmallSealing extends AsyncDisposable {
  /** @param content - nobody may change it, or use its memory again, until the promise resolves */
  seal(content: Buffer): Promise<SealedContent>;
  /** Takes back `bytes` that nobody looks at any more, for other files. */
  recycle(bytes: Buffer): void;
}

/** A small content as it lies on the storage, and the size that it should have. */
export interface StoredContent {
  readonly stored: Buffer;
  readonly sizeBytes: number;
}

/** Opens small contents. */
export interface SmallOpening {
  /** One for each: its content if that has just its size; else undefined, and whoever opens it by itself learns why. */
  open(contents: readonly StoredContent[]): Promise<readonly (Buffer | undefined)[]>;
}

/** Seals and opens many small contents beside what the caller does. */
export interface SealingThreads {
  /** @param options - `isHashed`: whether the SHA-256 of what is stored is wanted */
  sealing(runKey: RunKey, options: { readonly isHashed: boolean }): SmallSealing;
  /** Good until these threads are disposed of. */
  opening(keyring: Keyring): SmallOpening;
}
