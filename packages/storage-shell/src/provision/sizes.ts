import { StorageError } from '../errors.ts';
import { formatSizeBytes, parseSizeBytes } from '../policy/sizes.ts';

/**
 * Reads the size that a flag gives: `10G`, `1.5T`, powers of 1024.
 *
 * @throws StorageError USAGE unless it is more than 0
 */
export function sizeFlag(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSizeBytes(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new StorageError('USAGE', `${flag} ${text} is no size`, { hint: 'write it as 500M, 10G or 1.5T' });
}

export function sizeText(bytes: number): string {
  return String(formatSizeBytes(bytes));
}
