import type { Config } from '../config/config.ts';
import { mergeStorageConfig, parseStorageConfig } from '../config/storage-config.ts';
import { ok, warn, type Finding } from './finding.ts';

/** What was found of the settings, and those by which a run goes. */
export interface CheckedSettings {
  readonly finding: Finding;
  readonly config: Config;
}

/**
 * What the storage supplies, and what comes from where.
 *
 * @param text - what the account says, if it says anything
 * @throws AgentError CONFIG_INVALID if it is not taken, or nothing says what to back up
 */
export function checkStorageConfig(config: Config, text: string | undefined): CheckedSettings {
  const check = 'settings';
  if (!config.storageConfig) {
    if (text === undefined) return { finding: ok(check, `all from ${config.file}`), config };
    const finding = warn(
      check,
      'the storage offers settings, which are not taken',
      '`storage-config: true` in the configuration takes them where it says nothing itself',
    );
    return { finding, config };
  }
  const { config: merged, origins } = mergeStorageConfig(
    config,
    text === undefined ? undefined : parseStorageConfig(text),
  );
  const words = { configuration: `from ${config.file}`, storage: 'from the storage', default: 'as usual' };
  const sources = merged.sources.map(({ path }) => path).join(', ');
  const finding = ok(
    check,
    `sources ${words[origins.sources]} (${sources}); exclude ${words[origins.exclude]}; interval ${words[origins.interval]}; retention ${words[origins.retention]}`,
  );
  return { finding, config: merged };
}
