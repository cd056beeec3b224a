import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import t from 'tap';
import { openServices } from '../../src/adapters/services/open-services.ts';
import { openUndoing } from '../../src/adapters/undo/open-undoing.ts';
import type { DatabaseLogin, ServiceSettings } from '../../src/config/service-settings.ts';
import { enterAll } from '../../src/quiesce/enter-all.ts';
import type { EnteredServices } from '../../src/quiesce/enter-all.ts';
import { findProcess, grows, LedgerWriter, psql, startPostgresql } from './servers.ts';

const PASSWORD = 'p:a\\ss#wo"rd';
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-quiesce-'));
const stateDir = path.join(folder, 'state');
fs.mkdirSync(stateDir);
const server = await startPostgresql(undefined, (data) => {
  fs.writeFileSync(path.join(data, 'pg_hba.conf'), 'local all backup scram-sha-256\nlocal all all trust\n');
});
t.teardown(async () => {
  await server[Symbol.asyncDispose]();
  fs.rmSync(folder, { recursive: true, force: true });
});
const passwordFile = path.join(folder, 'password');
fs.writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
psql(
  server.socket,
  `CREATE TABLE ledger (n SERIAL PRIMARY KEY, text TEXT);
   CREATE ROLE backup LOGIN SUPERUSER PASSWORD '${PASSWORD}';`,
);
psql(server.socket, 'CREATE DATABASE "odd \'name"');
const LOGIN: DatabaseLogin = {
  user: undefined,
  login: 'backup',
  password: { from: 'file', file: passwordFile },
  socket: server.socket,
  host: undefined,
  port: undefined,
};
const CLIENT = ['psql', '-X', '-q', '-A', '-t', '-h', server.socket, '-U', 'postgres', '-d', 'postgres'];
const INSERT = "INSERT INTO ledger (text) VALUES (repeat('x', 500)); SELECT 'done';";
const count = (): number => Number(psql(server.socket, 'SELECT COUNT(*) FROM ledger'));

async function enter(settings: ServiceSettings): Promise<EnteredServices> {
  using undoing = openUndoing(stateDir, { nowMs: Date.now });
  const { services } = openServices([settings], stateDir);
  const entered = await enterAll(services, {
    journal: openUndoing(stateDir, { nowMs: Date.now }).journal,
    clock: { nowMs: () => performance.now() },
    signal: new AbortController().signal,
    windowMs: 60_000,
  });
  t.equal(
    undoing.journal.pending().length,
    settings.kind === 'postgresql' && settings.by === 'backup-mode' ? 1 : 0,
  );
  return entered;
}

t.test('one volume needs a checkpoint only: nobody waits, and the snapshot starts', async (t) => {
  await using _writer = new LedgerWriter(CLIENT, INSERT);
  await grows(count);
  const entered = await enter({
    name: 'pg',
    timeoutMs: 20_000,
    kind: 'postgresql',
    by: 'checkpoint',
    login: LOGIN,
  });
  const data = path.join(server.folder, 'data');
  t.same(entered.oneMoment(), [{ name: 'pg', folders: [data, path.join(data, 'pg_wal')] }]);
  server.copyData(path.join(folder, 'one'));
  t.same(await entered.leaveAll(), { windowMs: 0, services: [] });
  await using copy = await startPostgresql(path.join(folder, 'one'));
  const [rows, span] = psql(copy.socket, 'SELECT COUNT(*), MAX(n) FROM ledger').split('|');
  t.equal(rows, span, 'no gap');
  t.ok(Number(rows) > 0);
});

t.test(
  'a state taken over a while, as from several volumes, becomes one by what the backup mode kept',
  async (t) => {
    await using _writer = new LedgerWriter(CLIENT, INSERT);
    await grows(count);
    const entered = await enter({
      name: 'pg',
      timeoutMs: 20_000,
      kind: 'postgresql',
      by: 'backup-mode',
      login: LOGIN,
    });
    t.same(entered.oneMoment(), [], 'whatever the snapshots are');
    const before = count();
    t.equal(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(PASSWORD), false);
    // first the log, then all else while rows keep coming: useless without what was kept
    const data = path.join(server.folder, 'data');
    const copied = path.join(folder, 'several');
    const files = fs.readdirSync(data).filter((name) => name !== 'postmaster.pid');
    fs.mkdirSync(copied, { mode: 0o700 });
    execFileSync('chown', ['postgres:', copied]);
    for (const name of ['pg_wal', ...files.filter((name) => name !== 'pg_wal')]) {
      execFileSync('sh', ['-c', 'cp -a "$1" "$2"/ || [ -d "$2" ]', 'sh', path.join(data, name), copied]);
      await sleep(10);
    }
    await grows(count);
    const report = await entered.leaveAll();
    t.equal(report.windowMs, 0, 'nobody had to wait');
    t.same(entered.files(), [path.join(stateDir, 'dumps/pg')]);
    await using restored = await startPostgresql(copied, (data) => {
      execFileSync('cp', ['-r', `${stateDir}/dumps/pg/.`, data]);
      execFileSync('chown', ['-R', 'postgres:', data]);
    });
    const [rows, span] = psql(restored.socket, 'SELECT COUNT(*), MAX(n) FROM ledger').split('|');
    t.equal(rows, span, 'no gap');
    t.ok(Number(rows) >= before + 3, 'all that was committed before the mode ended');
  },
);

t.test('a standby has no backup mode of its own, but a checkpoint', async (t) => {
  server.copyData(path.join(folder, 'standby'));
  await using standby = await startPostgresql(path.join(folder, 'standby'), (data) => {
    fs.writeFileSync(path.join(data, 'standby.signal'), '');
  });
  t.equal(psql(standby.socket, 'SELECT pg_is_in_recovery()'), 't');
  const login = { ...LOGIN, socket: standby.socket };
  const settings = { name: 'pg', timeoutMs: 20_000, kind: 'postgresql', login } as const;
  await t.rejects(enter({ ...settings, by: 'backup-mode' }), {
    code: 'QUIESCE_FAILED',
    message: /pg is a standby/,
  });
  const entered = await enter({ ...settings, by: 'checkpoint' });
  await entered.leaveAll();
});

t.test('a connection that is lost ends the backup mode, and that is said', async (t) => {
  const entered = await enter({
    name: 'pg',
    timeoutMs: 20_000,
    kind: 'postgresql',
    by: 'backup-mode',
    login: LOGIN,
  });
  psql(server.socket, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'backup'");
  await t.rejects(entered.leaveAll(), {
    code: 'QUIESCE_FAILED',
    message: /the connection that held pg was lost/,
  });
  t.same(entered.files(), []);
  fs.rmSync(path.join(stateDir, 'undo.sqlite'));
});

for (const database of [undefined, 'postgres', "odd 'name"]) {
  t.test(`a dump of ${database ?? 'everything'} is whole and restores`, async (t) => {
    const entered = await enter({
      name: 'dump',
      timeoutMs: 20_000,
      kind: 'postgresql-dump',
      database,
      login: LOGIN,
    });
    const [file = ''] = entered.files();
    const sql = zstdDecompressSync(fs.readFileSync(file)).toString('utf8');
    await entered.leaveAll();
    if (database?.includes('odd') === true) {
      t.match(sql, /CREATE DATABASE "odd 'name"/);
      return;
    }
    await using copy = await startPostgresql();
    execFileSync('psql', ['-X', '-q', '-h', copy.socket, '-U', 'postgres', '-d', 'postgres'], {
      // a whole cluster or a database that is there already: their creation is refused, nothing else
      input: sql
        .replaceAll(/^CREATE (ROLE postgres|DATABASE postgres)\b.*$/gm, '')
        .replaceAll(/^DROP DATABASE.*$/gm, ''),
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
    });
    t.equal(psql(copy.socket, 'SELECT COUNT(*) FROM ledger'), String(count()));
  });
}

t.test('a dump that is killed leaves no file', async (t) => {
  await using _locker = new LedgerWriter(CLIENT, 'BEGIN; LOCK TABLE ledger; SELECT pg_sleep(60);');
  const waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'relation' AND usename = 'backup'";
  while (psql(server.socket, "SELECT COUNT(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'") === '0')
    await sleep(20);
  const entering = enter({
    name: 'dump',
    timeoutMs: 20_000,
    kind: 'postgresql-dump',
    database: 'postgres',
    login: LOGIN,
  });
  while (psql(server.socket, waits) === '0') await sleep(20);
  const program = fs.readdirSync('/usr/lib/postgresql').toSorted().at(-1) ?? '';
  process.kill(findProcess(`/usr/lib/postgresql/${program}/bin/pg_dump`, server.socket), 'SIGKILL');
  await t.rejects(entering, { code: 'QUIESCE_FAILED', message: /pg_dump was killed by SIGKILL/ });
  t.same(fs.readdirSync(path.join(stateDir, 'dumps')), []);
});
