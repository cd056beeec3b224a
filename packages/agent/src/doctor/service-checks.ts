import type { Config } from '../config/config.ts';
import type { ServiceSettings } from '../config/service-settings.ts';
import type { Machine } from '../ports/machine.ts';
import { ok, type Finding } from './finding.ts';
import { EXIT_STATUS } from '../errors.ts';

/** What a run would start, and as whom. */
interface Needs {
  readonly programs: readonly string[];
  readonly users: readonly (string | undefined)[];
  readonly files?: readonly string[];
}

/** Whether the programs, users and files that services need are there. Nothing is started. */
export async function checkServices({ services }: Config, machine: Machine): Promise<Finding[]> {
  if (services.length === 0) return [];
  const findings: Finding[] = [];
  for (const service of services) {
    const missing = await missingOf(needsOf(service), machine);
    if (missing.length === 0) continue;
    findings.push({
      check: 'services',
      result: 'fail',
      detail: `${service.name}: ${missing.join(', ')}`,
      hint: 'install it, or correct services: in the configuration; docs/quiesce.md',
      exitStatus: EXIT_STATUS.QUIESCE_FAILED,
    });
  }
  if (findings.length > 0) return findings;
  return [ok('services', `${services.map(({ name }) => name).join(', ')}: programs and users are there`)];
}

/** In words, empty if all is there. */
export async function missingOf({ programs, users, files = [] }: Needs, machine: Machine): Promise<string[]> {
  const missing: string[] = [];
  for (const program of programs)
    if (!(await machine.hasProgram(program))) missing.push(`there is no program ${program}`);
  for (const user of users)
    if (user !== undefined && !(await machine.hasUser(user))) missing.push(`there is no user ${user}`);
  for (const file of files)
    if ((await machine.inspect(file)) === undefined) missing.push(`there is no ${file}`);
  return missing;
}

function needsOf(service: ServiceSettings): Needs {
  switch (service.kind) {
    case 'command':
      return {
        programs: [service.enter, service.leave ?? []].flatMap(([program]) => program ?? []),
        users: [service.user],
      };
    case 'systemd':
      return { programs: ['systemctl'], users: [] };
    case 'nextcloud':
      return { programs: [service.php], users: [service.user], files: [`${service.path}/occ`] };
    case 'mariadb':
    case 'mysql':
      return { programs: [service.kind], users: [service.login.user] };
    case 'mariadb-dump':
      return { programs: ['mariadb-dump'], users: [service.login.user] };
    case 'mysql-dump':
      return { programs: ['mysqldump'], users: [service.login.user] };
    case 'postgresql':
      return { programs: ['psql'], users: [service.login.user] };
    case 'postgresql-dump':
      return {
        programs: [service.database === undefined ? 'pg_dumpall' : 'pg_dump'],
        users: [service.login.user],
      };
    case 'redis':
      return { programs: ['redis-cli'], users: [service.login.user] };
    case 'sqlite':
      return { programs: [], users: [], files: service.files };
    case 'sqlite-dump':
      return { programs: [], users: [], files: [service.file] };
  }
}
