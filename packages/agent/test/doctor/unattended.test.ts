import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { SqliteUndoJournal } from '../../src/adapters/undo/sqlite-undo-journal.ts';
import { linuxMachine } from '../../src/adapters/ssh/machine.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { Config } from '../../src/config/config.ts';
import { checkNotify } from '../../src/doctor/notify-checks.ts';
import { checkServices } from '../../src/doctor/service-checks.ts';
import { checkTimer } from '../../src/doctor/unattended-checks.ts';
import { makeBench } from '../cli/run-bakker.ts';
import { startWebServer } from '../notify/web-server.ts';

const machine = linuxMachine({ signal: new AbortController().signal });

function config(text: string): Config {
  return parseConfig(`account: /mnt/a\nsources: [/etc]\n${text}`, '/etc/bakker/bakker.yaml');
}

t.test('services whose programs, users or files are missing are named', async (t) => {
  t.same(await checkServices(config(''), machine), []);
  const good = config('services: [{ name: a, command: { enter: [sh], leave: [/bin/sh], user: nobody } }]');
  t.match(await checkServices(good, machine), [{ result: 'ok' }]);
  const bad = config(`services:
  - { name: a, command: { enter: [no-such-program], leave: [/bin/sh], user: no-such-user } }
  - { name: b, sqlite: { files: [/no/such/file] } }
  - { name: c, nextcloud: { path: /no/such, php: sh, user: nobody } }`);
  t.match(await checkServices(bad, machine), [
    {
      result: 'fail',
      exitStatus: 14,
      detail: 'a: there is no program no-such-program, there is no user no-such-user',
    },
    { result: 'fail', detail: 'b: there is no /no/such/file' },
    { result: 'fail', detail: 'c: there is no /no/such/occ' },
  ]);
});

t.test('a server that tells nobody, and ways that would not work, are warned of', async (t) => {
  const offline = { machine, isOnline: false };
  t.match(await checkNotify(config(''), offline), [{ result: 'warn', detail: /nobody is told/ }]);
  const folder = t.testdir({ token: 'x' });
  const token = join(folder, 'token');
  chmodSync(token, 0o644);
  const bad = config(`notify:
  hooks: [{ name: h, run: [no-such-program] }]
  mail: { to: root, program: /no/sendmail }
  ntfy: { topic: t, url: 'http://ntfy.invalid', token-file: ${token} }
  ping: { url-file: ${folder}/none }
  prometheus: /no/such/folder/x.prom`);
  const findings = await checkNotify(bad, offline);
  t.ok(findings.every(({ result }) => result === 'warn'));
  const details = findings.map(({ detail }) => detail).join('\n');
  for (const wanted of [
    /hook h: .*no-such-program/,
    /mail: /,
    /ntfy: .*may read/,
    /ntfy: .*clear/,
    /ping: /,
    /prometheus: /,
  ])
    t.match(details, wanted);
});

t.test('servers are asked only when that is wanted, and hear of nothing', async (t) => {
  await using web = await startWebServer(404);
  const one = config(`notify: { ping: '${web.url}/secret' }`);
  t.match(await checkNotify(one, { machine, isOnline: false }), [{ result: 'ok' }]);
  t.same(web.received, []);
  t.match(await checkNotify(one, { machine, isOnline: true }), [{ result: 'ok' }], 'any answer is one');
  t.match(web.received, [{ method: 'HEAD', path: '/' }]);
  const none = config('notify: { ping: "http://127.0.0.1:1/secret" }');
  const [finding] = await checkNotify(none, { machine, isOnline: true });
  t.match(finding, { result: 'warn', detail: /127.0.0.1:1 can't be reached/ });
  t.notMatch(finding?.detail, 'secret');
});

t.test('a timer that is not enabled is warned of where systemd runs', async (t) => {
  const file = '/etc/bakker/second.yaml';
  const asked: string[] = [];
  const told = (isEnabled: boolean | undefined) => ({
    ...machine,
    inspect: async () => undefined,
    isUnitEnabled: async (unit: string) => {
      asked.push(unit);
      return isEnabled;
    },
  });
  t.match(await checkTimer(file, told(false)), [{ result: 'warn' }]);
  t.match(await checkTimer(file, told(true)), [{ result: 'ok' }]);
  t.same(await checkTimer(file, told(undefined)), []);
  t.equal(asked[0], 'bakker-second.timer');
});

t.test('what an earlier run has left is told, and looking makes no journal', async (t) => {
  using bench = makeBench();
  mkdirSync(bench.stateDir);
  const leftovers = (text: string) =>
    (JSON.parse(text) as { check: string }[]).filter(({ check }) => check === 'leftovers');
  t.same(leftovers(bench.run('doctor', '--json').stdout), []);
  using journal = new SqliteUndoJournal(bench.stateDir, systemClock);
  t.match(leftovers(bench.run('doctor', '--json').stdout), [{ result: 'ok' }]);
  journal.record({ kind: 'start-units', what: 'start web.service', units: ['web.service'] });
  t.match(leftovers(bench.run('doctor', '--json').stdout), [{ result: 'warn', detail: /start web.service/ }]);
});
