import type { MariadbSettings } from '../../config/service-settings.ts';
import type { PreparedService } from '../../ports/services.ts';
import { prepareSession } from './locking-session.ts';
import { mariadbClient } from './mariadb-client.ts';

const LOCKS = {
  'backup-stage': {
    enter: 'BACKUP STAGE START; BACKUP STAGE FLUSH; BACKUP STAGE BLOCK_DDL; BACKUP STAGE BLOCK_COMMIT;',
    leave: 'BACKUP STAGE END;',
  },
  'read-lock': { enter: 'FLUSH TABLES WITH READ LOCK;', leave: 'UNLOCK TABLES;' },
} as const;

/** A connection that lets nobody commit (MariaDB's backup stages) or write (a global read lock, MySQL's way). */
export function prepareMariadb(
  { kind, by, login }: MariadbSettings,
  { name, timeoutMs }: { name: string; timeoutMs: number },
): PreparedService {
  const client = mariadbClient(kind, login);
  const lock = LOCKS[by];
  const waitSeconds = Math.max(1, Math.ceil(timeoutMs / 1000));
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
    enterSql: `SET SESSION lock_wait_timeout = ${waitSeconds}, SESSION wait_timeout = 86400; ${lock.enter}`,
    leaveSql: lock.leave,
  });
}
