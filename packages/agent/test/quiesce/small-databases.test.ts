import Database from 'better-sqlite3';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { openServices } from '../../src/adapters/services/open-services.ts';
import { needOneMoment } from '../../src/config/freezing.ts';
import type { DatabaseLogin, ServiceSettings } from '../../src/config/service-settings.ts';
import type { PlannedVolume, ProviderName } from '../../src/ports/volumes.ts';
import { enterAll } from '../../src/quiesce/enter-all.ts';
import type { EnteredServices } from '../../src/quiesce/enter-all.ts';
import { notOfOneMoment } from '../../src/volumes/one-moment.ts';
import { FakeWorld } from './fake-world.ts';
import { grows, startRedis } from './servers.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-small-'));
const stateDir = path.join(folder, 'state');
fs.mkdirSync(stateDir);
t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));

function enter(settings: ServiceSettings): Promise<EnteredServices> {
  return enterAll(openServices([settings], stateDir).services, {
    journal: new FakeWorld().journal,
    clock: { nowMs: () => performance.now() },
    signal: new AbortController().signal,
    windowMs: 60_000,
  });
}

function makeDatabase(name: string, mode: 'WAL' | 'DELETE', rows = 10): string {
  const file = path.join(folder, name);
  const database = new Database(file);
  database.pragma(`journal_mode = ${mode}`);
  database.exec('CREATE TABLE ledger (n INTEGER PRIMARY KEY, text BLOB)');
  const insert = database.prepare('INSERT INTO ledger (text) VALUES (randomblob(2000))');
  database.transaction(() => {
    for (let n = 0; n < rows; n++) insert.run();
  })();
  database.close();
  return file;
}

function count(file: string): number {
  const database = new Database(file, { readonly: true, timeout: 5_000 });
  try {
    const { rows, last } = database
      .prepare<[], { rows: number; last: number }>('SELECT COUNT(*) AS rows, MAX(n) AS last FROM ledger')
      .get() ?? { rows: 0, last: -1 };
    if (rows !== last) throw new Error(`a gap: ${rows} rows up to ${last}`);
    return rows;
  } finally {
    database.close();
  }
}

/** A process that writes rows as quickly as it can. */
function startWriter(file: string): AsyncDisposable {
  const script = `const { default: Database } = await import(${JSON.stringify(import.meta.resolve('better-sqlite3'))});
    const database = new Database(${JSON.stringify(file)}, { timeout: 10000 });
    const insert = database.prepare('INSERT INTO ledger (text) VALUES (randomblob(2000))');
    for (;;) { insert.run(); await new Promise((resolve) => setTimeout(resolve, 1)); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

for (const mode of ['WAL', 'DELETE'] as const) {
  t.test(`writers of SQLite wait from entering to leaving (${mode})`, async (t) => {
    const file = makeDatabase(`${mode}.db`, mode);
    await using _writer = startWriter(file);
    await grows(() => count(file));
    const entered = await enter({ name: 'lite', timeoutMs: 10_000, kind: 'sqlite', files: [file] });
    const before = count(file);
    await sleep(200);
    t.equal(count(file), before);
    const { windowMs } = await entered.leaveAll();
    t.ok(windowMs >= 200);
    await grows(() => count(file));
  });
}

t.test('a copy of a SQLite database is warned of, because copying drops its lock', async (t) => {
  const [one, other] = [makeDatabase('one.db', 'DELETE'), makeDatabase('other.db', 'DELETE')];
  const settings = { name: 'lite', timeoutMs: 10_000, kind: 'sqlite', files: [one, other] } as const;
  await using entered = await enter(settings);
  const on = (provider: ProviderName, moment?: string): PlannedVolume => {
    const file = Buffer.from(moment ?? one);
    const rest = { type: 'xfs', device: '/dev/x', why: 'so', sources: [file], mountPoints: [file] };
    return { ...rest, mountPoint: file, provider, moment };
  };
  t.match(notOfOneMoment(entered.oneMoment(), [on('reflink')]), [
    /^lite goes on writing to .*one\.db, whose files are copied one after the other \(reflink\)/,
  ]);
  t.same(notOfOneMoment(entered.oneMoment(), [on('lvm', one), on('lvm', other)]), [], 'each by itself');
  t.same(needOneMoment([settings]), ['lite'], 'and bakker doctor tells of it');
  await using _writer = startWriter(one);
  const before = count(one);
  fs.readFileSync(one); // as the copying pass does
  await grows(() => count(one));
  t.ok(count(one) > before);
});

t.test('a database that somebody writes to for too long, or that is none, is told', async (t) => {
  const file = makeDatabase('busy.db', 'WAL');
  const other = new Database(file);
  other.exec('BEGIN IMMEDIATE');
  const settings = { name: 'lite', timeoutMs: 30_000, kind: 'sqlite', files: [file] } as const;
  await t.rejects(enter({ ...settings, timeoutMs: 200 }), {
    code: 'QUIESCE_FAILED',
    message: /entering lite took longer than 0\.2 s/,
  });
  other.close();
  await (await enter(settings)).leaveAll();
  const text = path.join(folder, 'text');
  fs.writeFileSync(text, 'no database, only text '.repeat(100));
  await t.rejects(enter({ ...settings, files: [file, text] }), {
    code: 'QUIESCE_FAILED',
    message: /text: file is not a database/,
  });
  await t.rejects(enter({ ...settings, files: [`${text}2`] }), {
    code: 'QUIESCE_FAILED',
    message: /text2: /,
  });
  t.notOk(fs.existsSync(`${text}2`));
  await (await enter(settings)).leaveAll();
});

t.test('a copy of a SQLite database beside a writer is whole', async (t) => {
  const file = makeDatabase('live.db', 'WAL', 5_000);
  await using _writer = startWriter(file);
  await grows(() => count(file));
  const entered = await enter({
    name: 'app',
    timeoutMs: 30_000,
    kind: 'sqlite-dump',
    file,
    maxSizeBytes: 2 ** 30,
  });
  await entered.leaveAll();
  const [copy = ''] = entered.files();
  t.equal(copy, path.join(stateDir, 'dumps/app.sqlite'));
  t.same(fs.readdirSync(path.dirname(copy)), ['app.sqlite'], 'nothing beside it');
  t.equal(fs.statSync(copy).mode & 0o777, 0o600);
  t.ok(count(copy) >= 5_000);
});

t.test(
  'a SQLite database that is too large, damaged or missing gives no dump, and an older one is gone',
  async (t) => {
    const settings = { name: 'app', timeoutMs: 30_000, kind: 'sqlite-dump', maxSizeBytes: 2 ** 20 } as const;
    const large = makeDatabase('large.db', 'DELETE', 1_000);
    const dumps = path.join(stateDir, 'dumps');
    fs.mkdirSync(dumps, { recursive: true });
    const old = path.join(dumps, 'app.sqlite');
    fs.writeFileSync(old, 'of an earlier run');
    await t.rejects(enter({ ...settings, file: large }), {
      code: 'QUIESCE_FAILED',
      message: /large\.db has 0\.0 GiB, more than a copy may have/,
      hint: /leave it to the snapshot/,
    });
    t.same(fs.readdirSync(dumps), []);
    const damaged = makeDatabase('damaged.db', 'DELETE', 200);
    const descriptor = fs.openSync(damaged, 'r+');
    fs.writeSync(descriptor, Buffer.alloc(4_096, 0x5a), 0, 4_096, 8 * 4_096);
    fs.closeSync(descriptor);
    await t.rejects(enter({ ...settings, file: damaged }), {
      code: 'QUIESCE_FAILED',
      message: /damaged\.db/,
    });
    await t.rejects(enter({ ...settings, file: '/nowhere/x.db' }), {
      code: 'QUIESCE_FAILED',
      message: /\/nowhere\/x\.db/,
    });
    t.same(fs.readdirSync(dumps), []);
  },
);

t.test('dumps that no service makes any more are removed', (t) => {
  const dumps = path.join(stateDir, 'dumps');
  fs.mkdirSync(path.join(dumps, 'old'), { recursive: true });
  fs.writeFileSync(path.join(dumps, 'old/backup_label'), '');
  for (const name of ['app.sqlite', 'app.sqlite.part', 'gone.sql.zst'])
    fs.writeFileSync(path.join(dumps, name), '');
  const { hasDumps } = openServices(
    [{ name: 'app', timeoutMs: 1, kind: 'sqlite-dump', file: '/x', maxSizeBytes: 1 }],
    stateDir,
  );
  t.ok(hasDumps);
  t.same(fs.readdirSync(dumps), ['app.sqlite']);
  t.end();
});

t.test('Redis has written all it holds when it is entered, in the background or at once', async (t) => {
  await using server = await startRedis('--requirepass', 'secret pass', '--enable-protected-configs', 'yes');
  process.env['BAKKER_TEST_REDIS'] = 'secret pass';
  const login: DatabaseLogin = {
    user: undefined,
    login: undefined,
    password: { from: 'environment', name: 'BAKKER_TEST_REDIS' },
    socket: server.socket,
    host: undefined,
    port: undefined,
  };
  const redis = (...words: string[]): string =>
    execFileSync('redis-cli', ['-s', server.socket, ...words], {
      encoding: 'utf8',
      env: { ...process.env, REDISCLI_AUTH: 'secret pass' },
    });
  for (const by of ['bgsave', 'save'] as const) {
    redis('SET', 'how', `saved by ${by}`);
    const entered = await enter({ name: 'cache', timeoutMs: 10_000, kind: 'redis', by, login });
    t.match(fs.readFileSync(path.join(server.folder, 'dump.rdb'), 'latin1'), `saved by ${by}`);
    t.equal((await entered.leaveAll()).windowMs, 0);
  }
  process.env['BAKKER_TEST_REDIS'] = 'wrong';
  await t.rejects(enter({ name: 'cache', timeoutMs: 10_000, kind: 'redis', by: 'save', login }), {
    code: 'QUIESCE_FAILED',
    message: /NOAUTH|WRONGPASS/,
  });
  process.env['BAKKER_TEST_REDIS'] = 'secret pass';
  fs.mkdirSync(path.join(server.folder, 'away'));
  redis('CONFIG', 'SET', 'dir', path.join(server.folder, 'away'));
  fs.rmdirSync(path.join(server.folder, 'away'));
  await t.rejects(enter({ name: 'cache', timeoutMs: 10_000, kind: 'redis', by: 'bgsave', login }), {
    code: 'QUIESCE_FAILED',
    message: /redis could not save its data/,
  });
});
