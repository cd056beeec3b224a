import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
import { recover } from '../../src/undo/recover.ts';
import { findProcess, grows, LedgerWriter, mariadb, startMariadb } from './servers.ts';

const PASSWORD = 'pa"ss\\wo#rd \'x';
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-quiesce-'));
const server = await startMariadb();
t.teardown(async () => {
  await server[Symbol.asyncDispose]();
  fs.rmSync(folder, { recursive: true, force: true });
});
const passwordFile = path.join(folder, 'password');
fs.writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
mariadb(
  server.socket,
  `CREATE DATABASE ledger;
   CREATE TABLE ledger.rows (n INT PRIMARY KEY AUTO_INCREMENT, was INT, text VARCHAR(64)) ENGINE=InnoDB;
   CREATE TABLE ledger.bytes (b BLOB); INSERT INTO ledger.bytes VALUES (0x00ff0a27225c);
   CREATE USER backup@localhost IDENTIFIED BY '${PASSWORD.replace(/["'\\]/g, '\\$&')}';
   GRANT ALL ON *.* TO backup@localhost;`,
);
const LOGIN: DatabaseLogin = {
  user: undefined,
  login: 'backup',
  password: { from: 'file', file: passwordFile },
  socket: server.socket,
  host: undefined,
  port: undefined,
};
const INSERT =
  "INSERT INTO ledger.rows (was, text) SELECT COALESCE(MAX(n), 0), 'x' FROM ledger.rows; SELECT 'done';";
const CLIENT = [
  'mariadb',
  '--no-defaults',
  `--socket=${server.socket}`,
  '-uroot',
  '-N',
  '-B',
  '--unbuffered',
];
const count = (): number => Number(mariadb(server.socket, 'SELECT COUNT(*) FROM ledger.rows'));
const stateDir = path.join(folder, 'state');
fs.mkdirSync(stateDir);

async function enter(settings: readonly ServiceSettings[]): Promise<EnteredServices & { pending(): number }> {
  const undoing = openUndoing(stateDir, { nowMs: Date.now });
  const { services } = openServices(settings, stateDir);
  const signal = new AbortController().signal;
  const entered = await enterAll(services, {
    journal: undoing.journal,
    clock: { nowMs: () => performance.now() },
    signal,
    windowMs: 60_000,
  });
  return Object.assign(entered, { pending: () => undoing.journal.pending().length });
}

for (const by of ['backup-stage', 'read-lock'] as const) {
  t.test(
    `nobody commits between entering and leaving MariaDB by ${by}, and a copy made then is consistent`,
    async (t) => {
      await using _writer = new LedgerWriter(CLIENT, INSERT);
      await grows(count);
      const entered = await enter([{ name: 'db', timeoutMs: 10_000, kind: 'mariadb', by, login: LOGIN }]);
      t.equal(entered.pending(), 1);
      t.same(entered.oneMoment(), [{ name: 'db', folders: [path.join(server.folder, 'data')] }]);
      const before = count();
      const arguments_ = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
      t.match(arguments_, '--defaults-extra-file=/dev/fd/3');
      t.notMatch(arguments_, PASSWORD);
      server.copyData(path.join(folder, by));
      await sleep(200);
      t.equal(count(), before, 'the writer waits');
      const report = await entered.leaveAll();
      t.ok(report.windowMs >= 200);
      t.equal(entered.pending(), 0);
      await grows(count);
      await using copy = await startMariadb(path.join(folder, by));
      t.equal(
        mariadb(copy.socket, 'SELECT COUNT(*), MAX(n) - MIN(n) + 1 FROM ledger.rows'),
        `${before}\t${before}`,
      );
      t.equal(mariadb(copy.socket, 'CHECK TABLE ledger.rows'), 'ledger.rows\tcheck\tstatus\tOK');
    },
  );
}

t.test('a connection that the server drops makes the snapshot worthless, and that is said', async (t) => {
  const entered = await enter([
    { name: 'db', timeoutMs: 10_000, kind: 'mariadb', by: 'read-lock', login: LOGIN },
  ]);
  mariadb(
    server.socket,
    "SET @id = (SELECT id FROM information_schema.processlist WHERE user = 'backup'); KILL @id;",
  );
  await t.rejects(entered.leaveAll(), {
    code: 'QUIESCE_FAILED',
    message: /the connection that held db was lost/,
  });
});

t.test('a killed client gives the lock up; what a dead run left is ended by recovery', async (t) => {
  const undoing = openUndoing(stateDir, { nowMs: Date.now });
  await recover(undoing.journal, undoing.undoers);
  const entered = await enter([
    { name: 'db', timeoutMs: 10_000, kind: 'mariadb', by: 'read-lock', login: LOGIN },
  ]);
  const { undone, failed } = await recover(undoing.journal, undoing.undoers);
  t.match({ undone, failed }, { undone: [{ step: { kind: 'end-session' } }], failed: { length: 0 } });
  const stillHeld = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'backup'";
  while (mariadb(server.socket, stillHeld) !== '0') await sleep(20);
  await using _writer = new LedgerWriter(CLIENT, INSERT);
  await grows(count);
  await t.rejects(entered.leaveAll(), { code: 'QUIESCE_FAILED' });
});

t.test('when bakker is killed, its client and the lock go with it, before anybody recovers', async (t) => {
  const services = [{ name: 'db', timeoutMs: 10_000, kind: 'mariadb', by: 'backup-stage', login: LOGIN }];
  fs.writeFileSync(path.join(folder, 'services.json'), JSON.stringify(services));
  const script = new URL('../undo/run-window.ts', import.meta.url).pathname;
  const bakker = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, folder, 'stay'], {
    stdio: 'inherit',
  });
  const ended = once(bakker, 'exit');
  while (!fs.existsSync(path.join(folder, 'stays'))) await sleep(20);
  await using _writer = new LedgerWriter(CLIENT, INSERT);
  const before = count();
  await sleep(200);
  t.equal(count(), before, 'the lock is held');
  bakker.kill('SIGKILL');
  await ended;
  await grows(count);
  using undoing = openUndoing(stateDir, { nowMs: Date.now });
  t.match(await recover(undoing.journal, undoing.undoers), {
    undone: [{ step: { kind: 'end-session' } }],
    failed: { length: 0 },
  });
});

t.test('a lock that can not be had in time is given up by the server too', async (t) => {
  await using _reader = new LedgerWriter(CLIENT, 'LOCK TABLES ledger.rows WRITE; SELECT SLEEP(60);');
  while (!mariadb(server.socket, 'SHOW PROCESSLIST').includes('SLEEP')) await sleep(20);
  const settings = { name: 'db', timeoutMs: 1_000, kind: 'mariadb', by: 'read-lock', login: LOGIN } as const;
  await t.rejects(enter([settings]), {
    code: 'QUIESCE_FAILED',
    message: /entering db took longer than 1 s|Lock wait timeout/,
  });
  while (mariadb(server.socket, 'SHOW PROCESSLIST').includes('FLUSH TABLES')) await sleep(50);
  t.pass('nobody waits for it any more');
});

t.test('a wrong password is told without the password', async (t) => {
  const wrong = path.join(folder, 'wrong');
  fs.writeFileSync(wrong, 'not-the-password', { mode: 0o600 });
  const login: DatabaseLogin = { ...LOGIN, password: { from: 'file', file: wrong } };
  const settings = { name: 'db', timeoutMs: 10_000, kind: 'mariadb', by: 'read-lock', login } as const;
  const error: unknown = await enter([settings]).catch((error: unknown) => error);
  t.match(error, { code: 'QUIESCE_FAILED', message: /Access denied/ });
  t.notMatch(String(error), 'not-the-password');
  fs.chmodSync(wrong, 0o644);
  await t.rejects(enter([settings]), {
    code: 'QUIESCE_FAILED',
    message: /every user of this machine may read it/,
  });
});

t.test('a dump is whole, compressed, readable by root alone, and restores', async (t) => {
  await using _writer = new LedgerWriter(CLIENT, INSERT);
  await grows(count);
  const settings = {
    name: 'all',
    timeoutMs: 20_000,
    kind: 'mariadb-dump',
    databases: ['ledger'],
    login: LOGIN,
  } as const;
  const entered = await enter([settings]);
  const report = await entered.leaveAll();
  t.equal(report.windowMs, 0, 'nobody had to wait');
  const [file = ''] = entered.files();
  t.equal(file, path.join(stateDir, 'dumps/all.sql.zst'));
  t.equal(fs.statSync(file).mode & 0o777, 0o600);
  t.equal(fs.statSync(path.dirname(file)).mode & 0o777, 0o700);
  t.equal(spawnSync('zstd', ['-t', file]).status, 0);
  const sql = zstdDecompressSync(fs.readFileSync(file)).toString('utf8');
  await using copy = await startMariadb();
  mariadb(copy.socket, sql);
  const [rows, span] = mariadb(copy.socket, 'SELECT COUNT(*), MAX(n) - MIN(n) + 1 FROM ledger.rows').split(
    '\t',
  );
  t.equal(rows, span);
  t.ok(Number(rows) > 0);
  t.equal(mariadb(copy.socket, 'SELECT HEX(b) FROM ledger.bytes'), '00FF0A27225C');
});

t.test(
  'a dump that is killed, or of a database that is not there, fails the run and leaves no file',
  async (t) => {
    // it has written much, and waits for the last table, when it is killed
    await using _locker = new LedgerWriter(CLIENT, 'LOCK TABLES ledger.rows WRITE; SELECT SLEEP(60);');
    while (!mariadb(server.socket, 'SHOW PROCESSLIST').includes('SLEEP')) await sleep(20);
    const settings = {
      name: 'all',
      timeoutMs: 20_000,
      kind: 'mariadb-dump',
      databases: ['ledger'],
      login: LOGIN,
    } as const;
    const entering = enter([settings]);
    const part = path.join(stateDir, 'dumps/all.sql.zst.part');
    while (!fs.existsSync(part)) await sleep(2);
    while (!mariadb(server.socket, 'SHOW PROCESSLIST').includes('metadata lock')) await sleep(20);
    const pid = findProcess('mariadb-dump', `--socket=${server.socket}`);
    process.kill(pid, 'SIGKILL');
    await t.rejects(entering, { code: 'QUIESCE_FAILED', message: /mariadb-dump was killed by SIGKILL/ });
    t.same(fs.readdirSync(path.dirname(part)), [], 'not even the dump of an earlier run');
    await t.rejects(enter([{ ...settings, databases: ['nowhere'] }]), {
      code: 'QUIESCE_FAILED',
      message: /mariadb-dump ended with status 2: .*Unknown database/s,
    });
    t.same(fs.readdirSync(path.dirname(part)), []);
  },
);
