import { AgentError } from '../errors.ts';
import type { Config, RetentionSettings, SourceSettings } from './config.ts';
import { DEFAULTS } from './defaults.ts';
import { deepFreeze, listing, readInterval, readRetention, readSources, readStrings } from './read-values.ts';
import { readYaml } from './yaml-reader.ts';

/** All that a storage may say: nothing here names a command, a place to write to, or a guard. */
export const STORAGE_CONFIG_KEYS = ['sources', 'exclude', 'interval', 'retention'] as const;
export type StorageConfigKey = (typeof STORAGE_CONFIG_KEYS)[number];

/** No sensible one comes near; a storage that is not to be trusted could send anything. */
const MOST_CHARACTERS = 65_536;
const NAME = "the storage's agent.yaml";

/** What the storage's administrator would have backed up; undefined where the text says nothing. */
export interface StorageConfig {
  readonly sources: readonly SourceSettings[] | undefined;
  readonly excludes: readonly string[] | undefined;
  readonly minIntervalMs: number | undefined;
  readonly retention: RetentionSettings | undefined;
}

/** Where a value comes from. */
export type Origin = 'configuration' | 'storage' | 'default';

export interface MergedConfig {
  readonly config: Config;
  readonly origins: Readonly<Record<StorageConfigKey, Origin>>;
}

/**
 * Reads `.bakker/agent.yaml` of a storage. Pure, and strict: any other key refuses the whole text.
 *
 * @throws AgentError CONFIG_INVALID listing every problem with its line
 */
export function parseStorageConfig(text: string): StorageConfig {
  if (text.length > MOST_CHARACTERS) {
    throw new AgentError('CONFIG_INVALID', `${NAME} is larger than ${MOST_CHARACTERS / 1024} KiB`, {
      hint: "ask the storage's administrator, or set `storage-config: false`",
    });
  }
  const { root, problems, usesAliases } = readYaml(text);
  // 64 KiB of them can stand for gigabytes.
  if (usesAliases())
    problems.push({ line: 1, text: 'aliases (*name) are not taken; a pattern needs quotes' });
  if (problems.length > 0) throw listing(NAME, problems);
  const given = root.isEmpty ? {} : (root.entries(STORAGE_CONFIG_KEYS) ?? {});
  const { oneFilesystem, honourMarkers } = DEFAULTS;
  const config: StorageConfig = {
    sources:
      given.sources === undefined ? undefined : readSources(given.sources, { oneFilesystem, honourMarkers }),
    excludes: given.exclude === undefined ? undefined : readStrings(given.exclude),
    minIntervalMs: given.interval === undefined ? undefined : readInterval(given.interval),
    retention: given.retention === undefined ? undefined : readRetention(given.retention),
  };
  if (problems.length > 0) throw listing(NAME, problems);
  return deepFreeze(config);
}

/**
 * Fills in what the configuration leaves out from what the storage says, if the configuration lets it
 * (`storage-config: true`). What the configuration says, wins, key by key. Pure.
 *
 * @param given - undefined if the storage says nothing
 * @throws AgentError CONFIG_INVALID if neither says what to back up
 */
export function mergeStorageConfig(config: Config, given: StorageConfig | undefined): MergedConfig {
  const offered = config.storageConfig ? given : undefined;
  const originOf = (key: StorageConfigKey, value: unknown): Origin =>
    config.stated.includes(key) ? 'configuration' : value === undefined ? 'default' : 'storage';
  const origins = {
    sources: originOf('sources', offered?.sources),
    exclude: originOf('exclude', offered?.excludes),
    interval: originOf('interval', offered?.minIntervalMs),
    retention: originOf('retention', offered?.retention),
  };
  const pick = <Value>(key: StorageConfigKey, own: Value, theirs: Value | undefined): Value =>
    origins[key] === 'storage' && theirs !== undefined ? theirs : own;
  const merged = {
    ...config,
    sources: pick('sources', config.sources, offered?.sources),
    excludes: pick('exclude', config.excludes, offered?.excludes),
    minIntervalMs: pick('interval', config.minIntervalMs, offered?.minIntervalMs),
    retention: pick('retention', config.retention, offered?.retention),
  };
  if (merged.sources.length === 0) {
    throw new AgentError('CONFIG_INVALID', `neither ${config.file} nor the storage says what to back up`, {
      hint: 'add `sources:` to the file, or have them set on the storage: bakker-storage config ACCOUNT --set FILE',
    });
  }
  return { config: deepFreeze(merged), origins };
}
