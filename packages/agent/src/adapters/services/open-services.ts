import fs from 'node:fs';
import path from 'node:path';
import { needsSnapshot } from '../../config/freezing.ts';
import type { ServiceSettings } from '../../config/service-settings.ts';
import type { OpenedServices, PreparedService, ServiceContext } from '../../ports/services.ts';
import { prepareCommand } from './command-service.ts';
import { sweepDumps } from './dump-file.ts';
import { prepareMariadbDump, preparePostgresqlDump } from './dumps.ts';
import { lockMachine, machineLockFile } from './machine-lock.ts';
import { prepareMariadb } from './mariadb-service.ts';
import { prepareNextcloud } from './nextcloud-service.ts';
import { preparePostgresql } from './postgresql-service.ts';
import { prepareRedis } from './redis-service.ts';
import { prepareUnits } from './systemd-service.ts';

/** The configured services of this machine. Dumps that no service makes any more are removed; nothing is entered yet. */
export function openServices(settings: readonly ServiceSettings[], stateDir: string): OpenedServices {
  const dumpsFolder = path.join(stateDir, 'dumps');
  const names = settings.flatMap(dumpNames);
  sweepDumps(dumpsFolder, names);
  // there before the snapshot, so that it can be shown in it
  if (names.length > 0) fs.mkdirSync(dumpsFolder, { recursive: true, mode: 0o700 });
  const services = settings.map((service) => ({
    name: service.name,
    timeoutMs: service.timeoutMs,
    isDump: !needsSnapshot([service]),
    prepare: (context: ServiceContext) => prepare(service, { ...context, dumpsFolder }),
  }));
  const lockFile = machineLockFile();
  return {
    services,
    holdMachine: async (context) =>
      lockFile === undefined ? { [Symbol.dispose]: () => undefined } : lockMachine(lockFile, context),
    dumpsFolder,
    hasDumps: names.length > 0,
  };
}

async function prepare(
  service: ServiceSettings,
  { dumpsFolder, signal }: ServiceContext & { dumpsFolder: string },
): Promise<PreparedService> {
  const { name, timeoutMs } = service;
  const about = { name, timeoutMs, dumpsFolder, signal };
  switch (service.kind) {
    case 'command':
      return prepareCommand({ ...service, what: `leave ${name}` });
    case 'systemd':
      return await prepareUnits(service, about);
    case 'nextcloud':
      return await prepareNextcloud(service, about);
    case 'mariadb':
    case 'mysql':
      return prepareMariadb(service, about);
    case 'postgresql':
      return await preparePostgresql(service, about);
    case 'redis':
      return prepareRedis(service);
    case 'mariadb-dump':
    case 'mysql-dump':
      return prepareMariadbDump(service, about);
    case 'postgresql-dump':
      return preparePostgresqlDump(service, about);
    // loaded where used: they bring SQLite
    case 'sqlite':
      return (await import('./sqlite-service.ts')).prepareSqlite(service);
    case 'sqlite-dump':
      return (await import('./sqlite-dump.ts')).prepareSqliteDump(service, about);
  }
}

/** What the service makes in the dumps folder. */
function dumpNames(service: ServiceSettings): string[] {
  const { name } = service;
  switch (service.kind) {
    case 'mariadb-dump':
    case 'mysql-dump':
    case 'postgresql-dump':
      return [`${name}.sql.zst`];
    case 'sqlite-dump':
      return [`${name}.sqlite`];
    case 'postgresql':
      return service.by === 'backup-mode' ? [name] : [];
    case 'command':
    case 'systemd':
    case 'nextcloud':
    case 'mariadb':
    case 'mysql':
    case 'redis':
    case 'sqlite':
      return [];
  }
}
