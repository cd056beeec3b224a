import type { Test } from 'tap';
import type { Machine } from '../machine.ts';
import { entriesOf, LEDGERS, ledgerState, type BusyServer, type LedgerName } from './busy-server.ts';

const RESTORED = '/restored/srv';

/** The ledgers in latest are whole, and the databases start from them. */
export async function restoredDatabases(t: Test, server: BusyServer): Promise<void> {
  const { machine, say } = server;
  const live = await entriesOf(machine);
  await machine.must('bakker restore --to /restored --quiet && chmod 755 /restored /restored/srv');
  const clients = await startRestored(machine);
  for (const name of LEDGERS) {
    const state = await ledgerState(machine, name, clients[name]);
    say(`${name}, restored: ${JSON.stringify(state)}`);
    t.ok(state.entries > 0 && state.highest <= live[name], `${name} has entries of before`);
    t.equal(state.entries, state.highest, `${name}: no gap`);
    t.equal(state.torn, 0, `${name}: no torn entry`);
    t.equal(state.tip, state.highest, `${name}: what is written beside fits`);
  }
  await machine.must(
    'kill $(cat /run/mysqld/restored.pid) $(head -n 1 /restored/srv/pgsql/main/postmaster.pid)',
  );
}

/** Servers of their own on the restored folders, beside the live ones. @returns what asks them */
async function startRestored(machine: Machine): Promise<Record<LedgerName, string>> {
  const [socket, folder] = ['/run/mysqld/restored.sock', '/run/postgresql-restored'];
  const asPostgres = 'setpriv --reuid=postgres --regid=postgres --init-groups';
  await machine.must(
    `setsid mariadbd --user=mysql --datadir=${RESTORED}/mysql/data --socket=${socket} --pid-file=/run/mysqld/restored.pid --skip-networking </dev/null >/root/restored-mariadb.log 2>&1 &
     for i in {1..1800}; do mariadb -S ${socket} -e 'SELECT 1' >/dev/null 2>&1 && exit 0; sleep 0.5; done; cat /root/restored-mariadb.log; exit 1`,
  );
  // It names the process of the live server, which the restored one would take for its own.
  await machine.must(`rm ${RESTORED}/pgsql/main/postmaster.pid; install -d -o postgres ${folder}`);
  const settings = {
    config_file: '/etc/postgresql/15/main/postgresql.conf',
    data_directory: `${RESTORED}/pgsql/main`,
    external_pid_file: '',
    listen_addresses: '',
    unix_socket_directories: folder,
  };
  const options = Object.entries(settings).map(([key, value]) => `-c ${key}='${value}'`);
  const psql = `cd / && ${asPostgres} psql -qAt -h ${folder} book`;
  await machine.must(
    `cd /; setsid ${asPostgres} /usr/lib/postgresql/15/bin/postgres ${options.join(' ')} </dev/null >/root/restored-postgresql.log 2>&1 &
     for i in {1..1800}; do (${psql} -c 'SELECT 1') >/dev/null 2>&1 && exit 0; sleep 0.5; done; cat /root/restored-postgresql.log; exit 1`,
  );
  return {
    app: `cat ${RESTORED}/mysql/app/ledger`,
    mariadb: `mariadb -S ${socket} --batch --skip-column-names book`,
    postgresql: psql,
  };
}
