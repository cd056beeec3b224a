import { readFlag } from './read-values.ts';
import type { YamlValue } from './yaml-reader.ts';

/** How runs are sealed; to whom, the file `recipients` beside the configuration says. */
export interface EncryptSettings {
  readonly hidesNames: boolean;
}

export const ENCRYPT_KEYS = ['hide-names'] as const;

/** Reads `encrypt`: true or false, or a map that says more. Undefined for clear runs. */
export function readEncrypt(value: YamlValue | undefined): EncryptSettings | undefined {
  if (value === undefined) return undefined;
  if (!value.isMap) return readFlag(value) === true ? { hidesNames: false } : undefined;
  const keys = value.entries(ENCRYPT_KEYS);
  return { hidesNames: readFlag(keys?.['hide-names']) ?? false };
}
