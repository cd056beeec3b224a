import path from 'node:path';
import type { PostgresqlSettings } from '../../config/service-settings.ts';
import { AgentError } from '../../errors.ts';
import type { PreparedService, ServiceContext } from '../../ports/services.ts';
import { run } from './child.ts';
import type { HeldSession } from './held-session.ts';
import { realFolders } from './data-folders.ts';
import { prepareSession } from './locking-session.ts';
import { keepBackupFiles } from './postgresql-wal.ts';
import { psql } from './postgresql-client.ts';

interface About {
  readonly name: string;
  readonly timeoutMs: number;
  readonly dumpsFolder: string;
}

/**
 * On one volume a snapshot is a crash that PostgreSQL recovers from; a checkpoint before it makes that short. On several,
 * the backup mode and the log written meanwhile make one state of snapshots that were not taken in the same moment.
 */
export async function preparePostgresql(
  settings: PostgresqlSettings,
  about: About & ServiceContext,
): Promise<PreparedService> {
  return settings.by === 'checkpoint'
    ? prepareCheckpoint(settings)
    : await prepareBackupMode(settings, about);
}

/** The data folder first; nothing of it for who may not know. */
const FOLDERS = `SELECT setting FROM pg_settings WHERE name = 'data_directory'
  UNION ALL SELECT location FROM (SELECT pg_tablespace_location(oid) AS location FROM pg_tablespace) AS spaces WHERE location <> ''`;

function prepareCheckpoint({ login }: PostgresqlSettings): PreparedService {
  const client = psql(login);
  let folders: readonly string[] = [];
  return {
    undo: undefined,
    standsStill: false,
    enter: async ({ signal }) => {
      const argv = [...client.argv, '--command=CHECKPOINT', `--command=${FOLDERS}`];
      const { stdout } = await run({ ...client, argv, signal });
      const [data = '', ...tablespaces] = stdout.split('\n').filter(Boolean);
      folders = realFolders(data, ['pg_wal', ...tablespaces]);
    },
    leave: () => Promise.resolve(),
    files: () => [],
    oneMoment: () => [folders],
  };
}

async function prepareBackupMode(
  { login }: PostgresqlSettings,
  { name, timeoutMs, dumpsFolder, signal }: About & ServiceContext,
): Promise<PreparedService> {
  const client = psql(login);
  const { stdout } = await run({
    ...client,
    argv: [...client.argv, '--command=SHOW server_version_num', '--command=SELECT pg_is_in_recovery()'],
    signal,
  });
  const [version = '', isStandby] = stdout.trim().split('\n');
  if (isStandby === 't') {
    throw new AgentError(
      'QUIESCE_FAILED',
      `${name} is a standby: the log that a backup mode needs is its primary's`,
      {
        hint: 'with all of its files on one volume "by: checkpoint" is enough; else take the backup mode of the primary, or stop it (systemd)',
      },
    );
  }
  const isBefore15 = Number(version) < 150_000;
  const target = path.join(dumpsFolder, name);
  let isKept = false;
  return prepareSession({
    name,
    timeoutMs,
    client,
    standsStill: false,
    what: `end the backup mode of ${name}`,
    enterSql: isBefore15
      ? "SELECT pg_start_backup('bakker', true, false);"
      : "SELECT pg_backup_start('bakker', true);",
    leaveSql: `SELECT lsn, encode(convert_to(labelfile, 'UTF8'), 'hex'), encode(convert_to(coalesce(spcmapfile, ''), 'UTF8'), 'hex'),
      pg_walfile_name(lsn) FROM ${isBefore15 ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)'};`,
    async onLeft(lines, session, context) {
      const [, label, map, lastSegment] = lines[0]?.split('|') ?? [];
      if (label === undefined || map === undefined || lastSegment === undefined) {
        throw new AgentError('QUIESCE_FAILED', `${name}: the end of the backup mode was not answered`);
      }
      await keepBackupFiles(target, {
        label: Buffer.from(label, 'hex'),
        map: Buffer.from(map, 'hex'),
        lastSegment,
        ...(await walFolder(session, context)),
        signal: context.signal,
      });
      isKept = true;
    },
    files: () => (isKept ? [target] : []),
  });
}

async function walFolder(
  session: HeldSession,
  context: ServiceContext,
): Promise<{ folder: string; segmentBytes: number }> {
  const [data, segment] = await session.ask(
    "SELECT setting FROM pg_settings WHERE name = 'data_directory'; SELECT setting FROM pg_settings WHERE name = 'wal_segment_size';",
    context,
  );
  if (!data?.startsWith('/') || !/^\d+$/.test(segment ?? '')) {
    throw new AgentError('QUIESCE_FAILED', 'PostgreSQL does not say where its data is', {
      hint: 'the database user must be a superuser, or a member of pg_read_all_settings',
    });
  }
  return { folder: path.join(data, 'pg_wal'), segmentBytes: Number(segment) };
}
