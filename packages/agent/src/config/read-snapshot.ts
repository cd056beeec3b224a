import { PROVIDER_CHOICES } from './snapshot-settings.ts';
import type { LvmSize, ProviderChoice, SnapshotSettings } from './snapshot-settings.ts';
import { parseSizeBytes } from './sizes.ts';
import type { YamlValue } from './yaml-reader.ts';

export const SNAPSHOT_KEYS = ['provider', 'lvm-size'] as const;

/**
 * Reads `snapshot`: the name of a provider, or a map.
 *
 * @param standard - for what it leaves out
 */
export function readSnapshot(value: YamlValue | undefined, standard: SnapshotSettings): SnapshotSettings {
  if (value === undefined) return standard;
  if (!value.isMap) return { ...standard, provider: readProvider(value) ?? standard.provider };
  const keys = value.entries(SNAPSHOT_KEYS);
  return {
    provider: readProvider(keys?.provider) ?? standard.provider,
    lvmSize: readLvmSize(keys?.['lvm-size']) ?? standard.lvmSize,
  };
}

/** `10%` of the volume, or `2G`; undefined for anything else. */
export function parseLvmSize(text: string): LvmSize | undefined {
  const [, percent] = /^(\d{1,3}(?:\.\d{1,3})?) ?%$/.exec(text) ?? [];
  if (percent !== undefined) {
    const share = Number(percent) / 100;
    return share > 0 && share <= 1 ? { share } : undefined;
  }
  const sizeBytes = parseSizeBytes(text);
  return sizeBytes === undefined ? undefined : { sizeBytes };
}

function readProvider(value: YamlValue | undefined): ProviderChoice | undefined {
  if (value === undefined) return undefined;
  const choice = PROVIDER_CHOICES.find((candidate) => candidate === value.scalar);
  if (choice === undefined) value.complain(`must be one of ${PROVIDER_CHOICES.join(', ')}`);
  return choice;
}

function readLvmSize(value: YamlValue | undefined): LvmSize | undefined {
  if (value === undefined) return undefined;
  const size = typeof value.scalar === 'string' ? parseLvmSize(value.scalar.trim()) : undefined;
  if (size === undefined) value.complain('must be a share of the volume such as 10%, or a size such as 2G');
  return size;
}
