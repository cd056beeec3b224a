import type { Entry, Extent } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import { MissingFromStorage, SealBroken } from '../ports/storage-account.ts';

/** Files up to this are read whole, by one request and its answers. */
export const SMALL_BYTES = 1024 * 1024;

/** Why content differs from the manifest. */
export const DIFFERENT = 'its content is not what was backed up: SHA-256 differs';

/** What to read of a stored file: its data, or all of it. */
export function dataExtents({ extents, sizeBytes }: Entry): readonly Extent[] {
  return extents ?? (sizeBytes === 0 ? [] : [{ offsetBytes: 0, lengthBytes: sizeBytes }]);
}

/**
 * Why the storage could not give one file, in words.
 * @throws the error itself if it is about more than this file
 */
export function damageOf(error: unknown): string {
  if (error instanceof MissingFromStorage) return 'it is missing from the storage';
  if (error instanceof SealBroken) return error.message;
  if (error instanceof AgentError && error.code === 'STORAGE_REFUSED') return error.message;
  throw error;
}
