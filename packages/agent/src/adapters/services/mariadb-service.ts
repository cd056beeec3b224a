import type { MariadbSettings } from '../../config/service-settings.ts';
import type { PreparedService } from '../../ports/services.ts';
import { realFolders } from './data-folders.ts';
import { prepareSession } from './locking-session.ts';
import { mariadbClient } from './mariadb-client.ts';

const LOCKS = {
  'backup-stage': {
    enter: 'BACKUP STAGE START; BACKUP STAGE FLUSH; BACKUP STAGE BLOCK_DDL; BACKUP STAGE BLOCK_COMMIT;',
    leave: 'BACKUP STAGE END;',
  },
  'read-lock': { enter: 'FLUSH TABLES WITH READ LOCK;', leave: 'UNLOCK TABLES;' },
} as const;

/** Where its files are: a name and a folder a line. A server without InnoDB has not all of them. */
const FOLDERS =
  "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'innodb_data_home_dir', 'innodb_log_group_home_dir');";

type Variables = Readonly<Record<string, string>>;

/** A connection that lets nobody commit (MariaDB's backup stages) or write (a global read lock, MySQL's way). */
export function prepareMariadb(
  { kind, by, login }: MariadbSettings,
  { name, timeoutMs }: { name: string; timeoutMs: number },
): PreparedService {
  const client = mariadbClient(kind, login);
  const lock = LOCKS[by];
  const waitSeconds = Math.max(1, Math.ceil(timeoutMs / 1000));
  let folders: readonly string[] = [];
  return prepareSession({
    name,
    timeoutMs,
    client: {
      ...client,
      argv: [
        ...client.argv,
        '--batch',
        '--skip-column-names',
        '--unbuffered',
        '--no-auto-rehash',
        // a client that connects anew would look as if it held the lock still
        '--skip-reconnect',
        `--connect-timeout=${waitSeconds}`,
      ],
    },
    standsStill: true,
    what: `end the lock of ${name}`,
    // the server gives a request up by itself that nobody waits for any more, and keeps a silent connection
    enterSql: `SET SESSION lock_wait_timeout = ${waitSeconds}, SESSION wait_timeout = 86400; ${lock.enter} ${FOLDERS}`,
    // InnoDB writes behind the lock what is in its memory and its log: no commit is lost by that, but no copy is whole
    onEntered: (lines) => {
      const { datadir = '', ...others } = Object.fromEntries(
        lines.map((line) => line.split('\t', 2)),
      ) as Variables;
      folders = realFolders(datadir, Object.values(others));
    },
    oneMoment: () => folders,
    leaveSql: lock.leave,
  });
}
