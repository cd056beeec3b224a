import path from 'node:path';
import type { MariadbDumpSettings, PostgresqlDumpSettings } from '../../config/service-settings.ts';
import type { PreparedService } from '../../ports/services.ts';
import { dumpProgram } from './dump-file.ts';
import type { ProgramDump } from './dump-file.ts';
import { mariadbClient } from './mariadb-client.ts';
import { postgresqlClient } from './postgresql-client.ts';

/** A service that only makes a file. */
export function prepareDump(
  file: string,
  write: (context: { signal: AbortSignal }) => Promise<void>,
): PreparedService {
  const made: string[] = [];
  return {
    undo: undefined,
    standsStill: false,
    enter: async (context) => {
      await write(context);
      made.push(file);
    },
    leave: () => Promise.resolve(),
    files: () => made,
  };
}

/** `NAME.sql.zst`: one moment of all tables that know transactions. */
export function prepareMariadbDump(
  { kind, databases, login }: MariadbDumpSettings,
  { name, dumpsFolder }: { name: string; dumpsFolder: string },
): PreparedService {
  const client = mariadbClient(kind === 'mysql-dump' ? 'mysqldump' : 'mariadb-dump', login);
  const what = databases.length === 0 ? ['--all-databases'] : ['--databases', '--', ...databases];
  const argv = [
    ...client.argv,
    '--single-transaction',
    '--quick',
    '--routines',
    '--events',
    '--hex-blob',
    // the closing line is a comment
    '--comments',
    '--skip-dump-date',
    ...what,
  ];
  return prepareProgram(path.join(dumpsFolder, `${name}.sql.zst`), {
    child: { ...client, argv },
    closingLine: /^-- Dump completed/,
  });
}

/** `NAME.sql.zst`: one database, or all of them with roles and tablespaces. */
export function preparePostgresqlDump(
  { database, login }: PostgresqlDumpSettings,
  { name, dumpsFolder }: { name: string; dumpsFolder: string },
): PreparedService {
  const client = postgresqlClient(database === undefined ? 'pg_dumpall' : 'pg_dump', login);
  const what =
    database === undefined ? [] : ['--format=plain', '--create', `--dbname=${connectionWord(database)}`];
  return prepareProgram(path.join(dumpsFolder, `${name}.sql.zst`), {
    child: { ...client, argv: [...client.argv, ...what] },
    closingLine:
      database === undefined
        ? /^-- PostgreSQL database cluster dump complete$/
        : /^-- PostgreSQL database dump complete$/,
  });
}

/** A name with `=` or `://` in it would be read as a whole connection string. */
function connectionWord(database: string): string {
  return `dbname='${database.replace(/['\\]/g, '\\$&')}'`;
}

function prepareProgram(file: string, dump: Pick<ProgramDump, 'child' | 'closingLine'>): PreparedService {
  return prepareDump(file, ({ signal }) => dumpProgram({ ...dump, file, signal }));
}
