import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { linuxSystem } from '../../src/adapters/system/linux-system.ts';
import type { System } from '../../src/ports/system.ts';
import { readPlaces } from '../../src/provision/places.ts';
import { disableTimers, enableTimers, timerStates } from '../../src/provision/timers.ts';
import type { ProvisionTools } from '../../src/provision/provision.ts';

const UNITS = ['grow', 'retention', 'scrub'].flatMap((name) => [
  `bakker-${name}.service`,
  `bakker-${name}.timer`,
]);

/** A machine that is not running: the real systemctl changes what is below `root`. */
async function machine(t: Test): Promise<{ tools: ProvisionTools; unitFolder: string }> {
  const root = t.testdir();
  const unitFolder = join(root, 'etc/systemd/system');
  const bin = join(root, 'bin');
  for (const folder of [unitFolder, bin]) mkdirSync(folder, { recursive: true });
  const script = `#!/bin/sh
for word; do shift; [ "$word" = --now ] || set -- "$@" "$word"; done
[ "$1" = daemon-reload ] && exit 0
exec /usr/bin/systemctl --root=${root} "$@"
`;
  writeFileSync(join(bin, 'systemctl'), script, { mode: 0o755 });
  const real = linuxSystem({ searchFirst: bin });
  const system: System = {
    ...real,
    inspect: (path) => real.inspect(path === '/run/systemd/system' ? root : path),
  };
  const places = await readPlaces(system, join(root, 'etc'));
  const { signal } = new AbortController();
  return { tools: { registry: { system, places }, signal, note: () => undefined }, unitFolder };
}

t.test('the timers of a storage are installed, enabled and taken away again', async (t) => {
  const { tools, unitFolder } = await machine(t);
  const request = { rootDir: '/srv/runs', etc: '/etc/other', isDryRun: false, unitFolder };
  const units = () =>
    readdirSync(unitFolder)
      .filter((name) => name.startsWith('bakker-'))
      .sort();

  await enableTimers({ ...request, isDryRun: true }, tools);
  t.same(units(), [], 'a dry run writes nothing');

  const first = await enableTimers(request, tools);
  t.ok(first.every(({ result }) => result === 'done'));
  t.same(units(), UNITS);
  t.same(
    (await timerStates(tools)).map(({ isEnabled }) => isEnabled),
    [true, true, true],
  );
  const { launcher } = tools.registry.system;
  const read = (unit: string) => readFileSync(join(unitFolder, unit), 'utf8');
  t.match(read('bakker-retention.service'), `ExecStart=${launcher} --root /srv/runs retention --all\n`);
  t.match(read('bakker-retention.service'), 'ReadWritePaths=-/srv/runs\n');
  t.match(
    read('bakker-grow.service'),
    `ExecStart=${launcher} --root /srv/runs grow --requested --etc /etc/other\n`,
  );
  const verified = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', ...UNITS.map((unit) => join(unitFolder, unit))],
    {
      encoding: 'utf8',
    },
  );
  t.same([verified.status, verified.stderr], [0, '']);
  const { status, stderr } = spawnSync(launcher, ['--root', '/srv/runs', 'grow', '--help'], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);

  const again = await enableTimers(request, tools);
  t.same(
    again.filter(({ result }) => result === 'done').map(({ title }) => title),
    ['let systemd read the units'],
  );

  await disableTimers(request, tools);
  t.same(units(), []);
  t.ok((await timerStates(tools)).every(({ isEnabled }) => !isEnabled));
});

t.test('a unit that is somebody else’s is left alone, and nothing is written', async (t) => {
  const { tools, unitFolder } = await machine(t);
  writeFileSync(join(unitFolder, 'bakker-grow.timer'), '[Timer]\nOnCalendar=daily\n');
  const request = { rootDir: '/backups', etc: '/etc/bakker-storage', isDryRun: false, unitFolder };
  await t.rejects(enableTimers(request, tools), { code: 'UNSUPPORTED', message: /was not made by/ });
  t.same(readdirSync(unitFolder), ['bakker-grow.timer']);
  await disableTimers(request, tools);
  t.same(readdirSync(unitFolder), ['bakker-grow.timer'], 'nor removed');
});

t.test('a machine without systemd is told what cron has to do', async (t) => {
  const { tools } = await machine(t);
  const { system } = tools.registry;
  const without = {
    ...tools,
    registry: { ...tools.registry, system: { ...system, inspect: async () => undefined } },
  };
  await t.rejects(timerStates(without), { code: 'UNSUPPORTED', hint: /retention --all/ });
});
