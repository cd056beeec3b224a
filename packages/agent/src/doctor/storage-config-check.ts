import type { Config } from '../config/config.ts';
import { mergeStorageConfig, parseStorageConfig } from '../config/storage-config.ts';
import { ok, warn, type Finding } from './finding.ts';

/**
 * What the storage supplies, and what comes from where.
 *
 * @param text - what the account says, if it says anything
 * @throws AgentError CONFIG_INVALID if it is not taken, or nothing says what to back up
 */
export function checkStorageConfig(config: Config, text: string | undefined): Finding {
  const check = 'settings';
  if (!config.storageConfig) {
    if (text === undefined) return ok(check, `all from ${config.file}`);
    return warn(
      check,
      'the storage offers settings, which are not taken',
      '`storage-config: true` in the configuration takes them where it says nothing itself',
    );
  }
  const { config: merged, origins } = mergeStorageConfig(
    config,
    text === undefined ? undefined : parseStorageConfig(text),
  );
  const words = { configuration: `from ${config.file}`, storage: 'from the storage', default: 'as usual' };
  const sources = merged.sources.map(({ path }) => path).join(', ');
  return ok(
    check,
    `sources ${words[origins.sources]} (${sources}); exclude ${words[origins.exclude]}; interval ${words[origins.interval]}; retention ${words[origins.retention]}`,
  );
}
