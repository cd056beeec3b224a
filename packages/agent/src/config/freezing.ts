import type { Config, SourceSettings } from './config.ts';
import type { ServiceSettings } from './service-settings.ts';
import type { SnapshotSettings } from './snapshot-settings.ts';

/** Whether services stand still or file systems are frozen for a run; else it reads live files and does nothing more. */
export function asksToFreeze(config: Config): boolean {
  return config.services.length > 0 || config.sources.some((source) => isFrozen(source, config.snapshot));
}

/**
 * What holds where the configuration says no `snapshot` at its top: live files, unless a service or a source asks for
 * snapshots. Then `auto`, so that sources on one file system agree.
 */
export function snapshotUnlessStated(
  standard: SnapshotSettings,
  asked: { services: readonly ServiceSettings[]; sources: readonly SourceSettings[] },
): SnapshotSettings {
  const live: SnapshotSettings = { ...standard, provider: 'none' };
  const isAsked = needsSnapshot(asked.services) || asked.sources.some((source) => isFrozen(source, live));
  return isAsked ? standard : live;
}

/** Whether a service is brought to a state that only a snapshot can keep; a dump is kept as a file. */
export function needsSnapshot(services: readonly ServiceSettings[]): boolean {
  return services.some(({ kind }) => !DUMPS.has(kind));
}

/** Names of the services whose files may be written to behind their locks: only a snapshot of one moment has them whole. */
export function needOneMoment(services: readonly ServiceSettings[]): string[] {
  return services
    .filter((service) => {
      const { kind } = service;
      if (kind === 'postgresql') return service.by === 'checkpoint';
      return kind === 'mariadb' || kind === 'mysql' || kind === 'sqlite';
    })
    .map(({ name }) => name);
}

const DUMPS: ReadonlySet<ServiceSettings['kind']> = new Set([
  'mariadb-dump',
  'mysql-dump',
  'postgresql-dump',
  'sqlite-dump',
]);

function isFrozen({ snapshot }: SourceSettings, standard: SnapshotSettings): boolean {
  return (snapshot ?? standard).provider !== 'none';
}
