import type { Entry, Stored } from '@bakker/impl-format';
import type { BlockPrints } from '../blocks/block-diff.ts';
import type { StoredPlace } from '../ports/storage-account.ts';

/** How often a large file that changes is read in all. */
export const LARGE_READS = 2;

/** A file's entry as it was read, with the hash of what was read. */
export type HashedEntry = Entry & { readonly sha256: Buffer };

/** Content that arrived: acknowledged by the storage. */
export interface Arrived {
  readonly entry: HashedEntry;
  readonly place: StoredPlace;
}

/** A large file that was read. */
export interface ReadLarge {
  readonly entry: HashedEntry;
  /** Undefined where nobody asked for them. */
  readonly blocks: BlockPrints | undefined;
}

/** Told how much of a large file was read, and sent if it is sent, since the last call. */
export type OnRead = (bytes: number) => void;

/** An error of reading the source: about one file, and the run goes on. */
export type SourceError = Error & { readonly code: string };

export function isSourceError(error: unknown): error is SourceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error;
}

/** The entry of a file that was read. */
export function finished(entry: Entry, stored: Stored, sha256: Buffer, isChanging: boolean): HashedEntry {
  return { ...entry, stored, sha256, ...(isChanging ? { unsettled: true } : {}) };
}
