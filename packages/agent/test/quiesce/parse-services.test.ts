import t from 'tap';
import { parseConfig } from '../../src/config/parse-config.ts';
import { SERVICE_KINDS } from '../../src/config/parse-services.ts';
import type { ServiceSettings } from '../../src/config/service-settings.ts';
import { AgentError } from '../../src/errors.ts';

function parse(services: string): readonly ServiceSettings[] {
  return parseConfig(`account: /b\nsources: [/etc]\nservices:\n${services}\n`, 'bakker.yaml').services;
}

function complaints(services: string): string {
  try {
    parse(services);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  return '';
}

const HERE = { login: undefined, password: undefined, socket: undefined, host: undefined, port: undefined };

t.test('every kind of service is read, in order, with its own time limit', (t) => {
  const services = parse(`
  - name: before
    sqlite-dump: { file: /srv/app/app.db, max-size: 200M }
  - name: app
    timeout: 10s
    command: { enter: [app, pause], leave: { shell: 'app resume && date' }, user: app }
  - name: hook
    command: { enter: [sync] }
  - name: web
    systemd: { units: [nginx, data.mount], by: freeze }
  - name: cloud
    nextcloud: { path: /var/www/nextcloud }
  - name: maria
    mariadb:
  - name: my
    mysql: { host: db.example, port: 3307, login: backup, password-file: /etc/bakker/db }
  - name: pg
    postgresql: { by: backup-mode }
  - name: lite
    sqlite: { files: [/srv/a.db, /srv/b.db] }
  - name: cache
    redis: { socket: /run/redis.sock, credential: redis }
  - name: md
    mariadb-dump: { databases: [shop, blog] }
  - name: myd
    mysql-dump: { password-env: MYSQL_SECRET }
  - name: pgd
    postgresql-dump: { database: shop, host: db.example, login: backup }`);
  t.strictSame(services, [
    {
      name: 'before',
      timeoutMs: 7_200_000,
      kind: 'sqlite-dump',
      file: '/srv/app/app.db',
      maxSizeBytes: 200 * 2 ** 20,
    },
    {
      name: 'app',
      timeoutMs: 10_000,
      kind: 'command',
      enter: ['app', 'pause'],
      leave: ['/bin/sh', '-c', 'app resume && date'],
      user: 'app',
    },
    { name: 'hook', timeoutMs: 30_000, kind: 'command', enter: ['sync'], leave: undefined, user: undefined },
    { name: 'web', timeoutMs: 90_000, kind: 'systemd', units: ['nginx.service', 'data.mount'], by: 'freeze' },
    {
      name: 'cloud',
      timeoutMs: 30_000,
      kind: 'nextcloud',
      path: '/var/www/nextcloud',
      user: 'www-data',
      php: 'php',
    },
    {
      name: 'maria',
      timeoutMs: 30_000,
      kind: 'mariadb',
      by: 'backup-stage',
      login: { ...HERE, user: undefined },
    },
    {
      name: 'my',
      timeoutMs: 30_000,
      kind: 'mysql',
      by: 'read-lock',
      login: {
        ...HERE,
        user: undefined,
        login: 'backup',
        host: 'db.example',
        port: 3307,
        password: { from: 'file', file: '/etc/bakker/db' },
      },
    },
    {
      name: 'pg',
      timeoutMs: 300_000,
      kind: 'postgresql',
      by: 'backup-mode',
      login: { ...HERE, user: 'postgres' },
    },
    { name: 'lite', timeoutMs: 30_000, kind: 'sqlite', files: ['/srv/a.db', '/srv/b.db'] },
    {
      name: 'cache',
      timeoutMs: 300_000,
      kind: 'redis',
      by: 'bgsave',
      login: {
        ...HERE,
        user: undefined,
        socket: '/run/redis.sock',
        password: { from: 'credential', name: 'redis' },
      },
    },
    {
      name: 'md',
      timeoutMs: 7_200_000,
      kind: 'mariadb-dump',
      databases: ['shop', 'blog'],
      login: { ...HERE, user: undefined },
    },
    {
      name: 'myd',
      timeoutMs: 7_200_000,
      kind: 'mysql-dump',
      databases: [],
      login: { ...HERE, user: undefined, password: { from: 'environment', name: 'MYSQL_SECRET' } },
    },
    {
      name: 'pgd',
      timeoutMs: 7_200_000,
      kind: 'postgresql-dump',
      database: 'shop',
      login: { ...HERE, user: undefined, host: 'db.example', login: 'backup' },
    },
  ]);
  t.same(new Set(services.map(({ kind }) => kind)), new Set(SERVICE_KINDS), 'the test knows every kind');
  t.end();
});

t.test('what can not be meant is told with its place', (t) => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['  web', /services: must be a list/],
    ['  - web', /services\[0\]: must be a map of keys/],
    ['  - { systemd: { units: [a] } }', /services\[0\]: name is missing/],
    ['  - { name: web }', /services\[0\]: needs exactly one of command, systemd/],
    ['  - { name: web, mariadb: , redis: }', /needs exactly one of/],
    [
      '  - { name: web, comand: { enter: [a] } }',
      /services\[0\]\.comand: unknown key; did you mean command\?/,
    ],
    ['  - { name: ../x, mariadb: }', /name: must be made of letters/],
    ['  - { name: a.sql, mariadb: }', /name: must be made of letters/],
    ['  - { name: a, mariadb: }\n  - { name: a, redis: }', /a is listed twice/],
    ['  - { name: a, timeout: 0, mariadb: }', /timeout: must be a time/],
    ['  - { name: a, timeout: 60d, mariadb: }', /timeout: must be a time/],
    [
      '  - { name: a, command: { enter: systemctl stop web } }',
      /enter: must be a list of words .* or \{ shell: … \}/,
    ],
    ['  - { name: a, command: { enter: [] } }', /enter: the list is empty/],
    ['  - { name: a, command: { leave: [a] } }', /command: enter is missing/],
    ['  - { name: a, command: { enter: { shel: a } } }', /shel: unknown key; did you mean shell\?/],
    ['  - { name: a, command: { enter: [a], user: -u0 } }', /user: -u0 can't be meant/],
    ['  - { name: a, systemd: { } }', /units is missing/],
    ['  - { name: a, systemd: { units: [--now] } }', /units: --now is no name of a unit/],
    ['  - { name: a, systemd: { units: [a], by: kill } }', /by: must be stop or freeze/],
    ['  - { name: a, nextcloud: }', /nextcloud: path is missing/],
    [
      '  - { name: a, mariadb: { passwordFile: /x } }',
      /passwordFile: unknown key; did you mean password-file\?/,
    ],
    ['  - { name: a, mariadb: { password: x } }', /mariadb\.password: unknown key/],
    ['  - { name: a, mariadb: { password-file: /x, credential: y } }', /give one of password-file/],
    ['  - { name: a, mariadb: { credential: ../../shadow } }', /credential: must be a name/],
    ['  - { name: a, mariadb: { socket: /x, host: y } }', /give either socket or host/],
    ['  - { name: a, mysql: { by: backup-stage } }', /mysql\.by: unknown key/],
    ['  - { name: a, postgresql: { host: "x dbname=y" } }', /can't be meant/],
    ['  - { name: a, redis: { port: 0 } }', /port: must be a port/],
    ['  - { name: a, sqlite: { files: [a.db] } }', /files: a\.db must be an absolute path/],
    ['  - { name: a, sqlite-dump: { file: /a, max-size: 2 } }', /max-size: must be a size/],
  ];
  for (const [text, wanted] of refused) t.match(complaints(text), wanted, text);
  t.match(complaints('  []\nwindow: 0'), /window: must be a time/);
  t.end();
});
