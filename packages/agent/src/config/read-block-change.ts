import { DEFAULTS } from './defaults.ts';
import { parseSizeBytes } from './sizes.ts';
import type { YamlValue } from './yaml-reader.ts';

/** Smaller files are read and sent in one request. */
const LEAST_BYTES = 256 * 1024;

/** A size, or `off`: undefined. */
export function readBlockChange(value: YamlValue | undefined): number | undefined {
  const text: unknown = value === undefined ? DEFAULTS.blockChange : value.scalar;
  if (text === 'off' || text === false) return undefined;
  const bytes = typeof text === 'string' ? parseSizeBytes(text) : undefined;
  if (bytes !== undefined && bytes >= LEAST_BYTES) return bytes;
  value?.complain('must be a size such as 8M, at least 256K, or off');
  return undefined;
}
