import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { systemd } from '../../src/adapters/timer/systemd.ts';
import { installTimer, mustHaveSystemd } from '../../src/enrol/install-timer.ts';
import { AgentError } from '../../src/errors.ts';
import type { InstalledTimer, TimerRequest } from '../../src/enrol/install-timer.ts';
import { fillInUnit, unitName } from '../../src/enrol/timer-units.ts';
import { BAKKER, runBakker } from '../cli/run-bakker.ts';

const USUAL = { configFile: '/etc/bakker/bakker.yaml', stateDir: '/var/lib/bakker' };
const UNITS = ['bakker-notify@.service', 'bakker-recover.service', 'bakker.service', 'bakker.timer'];
const SYSTEMD = new URL('../../../../systemd', import.meta.url).pathname;

/** The system of a machine that is not running, of which systemctl and systemd-analyze are the real ones. */
class Machine {
  readonly root: string;
  readonly questions: string[] = [];

  constructor(t: Test) {
    this.root = t.testdir();
    mkdirSync(this.folder, { recursive: true });
  }

  get folder(): string {
    return join(this.root, 'etc/systemd/system');
  }

  async install(request: TimerRequest = USUAL, answer = true): Promise<InstalledTimer> {
    return installTimer(request, {
      manager: await systemd({ root: this.root }),
      confirm: async (question) => {
        this.questions.push(question);
        if (!answer) throw new Error('no');
      },
    });
  }

  units(): string[] {
    return readdirSync(this.folder)
      .filter((name) => /\.(service|timer)$/.test(name))
      .sort();
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }
}

/** What systemd itself says of units; each is told the program it starts, which is what it looks for. */
function verify(folder: string, names: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(
    'systemd-analyze',
    [
      'verify',
      '--man=no',
      '--recursive-errors=no',
      ...names.map((name) => join(folder, name.replace('@.', '@x.'))),
    ],
    { encoding: 'utf8', env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` } },
  );
  return `${status} ${stdout}${stderr}`.trim();
}

t.test('the timer is installed and enabled, once', async (t) => {
  const machine = new Machine(t);
  const first = await machine.install();
  t.same(first.written.map((file) => file.replace(`${machine.folder}/`, '')).sort(), UNITS);
  t.same(first.enabled, ['bakker-recover.service', 'bakker.timer']);
  t.equal(machine.questions.length, 1);
  t.same(machine.units(), UNITS);
  t.match(readlinkSync(join(machine.folder, 'timers.target.wants/bakker.timer')), /bakker\.timer$/);
  t.ok(existsSync(join(machine.folder, 'multi-user.target.wants')));
  t.match(machine.read('bakker.service'), `ExecStart=${BAKKER} backup --quiet\n`);
  t.match(machine.read('bakker.service'), 'OnFailure=bakker-notify@%n.service');
  t.equal(verify(machine.folder, UNITS), '0');

  const again = await machine.install();
  t.same(again, { timer: 'bakker.timer', written: [], enabled: [] });
  t.equal(machine.questions.length, 1, 'nothing to ask');
});

t.test('a unit that was changed is written anew, one that is not ours is left alone', async (t) => {
  const machine = new Machine(t);
  await machine.install();
  const right = machine.read('bakker.timer');
  writeFileSync(join(machine.folder, 'bakker.timer'), right.replace('01:00', '02:00'));
  t.match(await machine.install(), {
    written: [join(machine.folder, 'bakker.timer')],
    enabled: { length: 0 },
  });
  t.equal(machine.read('bakker.timer'), right);

  writeFileSync(join(machine.folder, 'bakker.timer'), '[Timer]\nOnCalendar=hourly\n');
  writeFileSync(join(machine.folder, 'bakker.service'), `# Made by bakker init --timer\n`);
  await t.rejects(machine.install(), { code: 'CONFIG_INVALID' });
  t.equal(machine.read('bakker.service'), `# Made by bakker init --timer\n`, 'nothing is written then');
});

t.test('who says no has nothing installed', async (t) => {
  const machine = new Machine(t);
  await t.rejects(machine.install(USUAL, false), /no/);
  t.same(machine.units(), []);
});

t.test('a second configuration has units of its own, with its paths', async (t) => {
  const machine = new Machine(t);
  await machine.install();
  await machine.install({ configFile: '/etc/bakker/second.yaml', stateDir: '/srv/state' });
  t.equal(machine.units().length, 8);
  const service = machine.read('bakker-second.service');
  t.match(service, `ExecStart=${BAKKER} --config /etc/bakker/second.yaml --state /srv/state backup --quiet`);
  t.match(service, 'OnFailure=bakker-second-notify@%n.service');
  t.match(service, 'bakker-second-recover.service');
  t.notMatch(service, 'StateDirectory');
  t.match(machine.read('bakker-second-recover.service'), 'ConditionPathExists=/srv/state/undo.sqlite');
  t.equal(verify(machine.folder, machine.units()), '0');
});

t.test('paths that would need quoting, and names that are taken, are refused', async (t) => {
  const places = { launcher: '/opt/b/bakker', ...USUAL };
  for (const wrong of ['/a b', '/a%n', '/a$b', "/a'b", '/a;b', 'relative'])
    t.throws(() => fillInUnit('', { ...places, stateDir: wrong }), { code: 'CONFIG_INVALID' }, wrong);
  for (const wrong of ['/etc/bakker/recover.yaml', '/etc/bakker/a b.yaml'])
    t.throws(() => unitName('bakker.timer', wrong), { code: 'CONFIG_INVALID' }, wrong);
});

t.test('a machine without systemd is told so before anything is done', async (t) => {
  const manager = { ...(await systemd()), isThere: async () => false };
  await t.rejects(mustHaveSystemd(manager, USUAL), { code: 'USAGE', hint: /cron/ });
  const second = { configFile: '/etc/bakker/second.yaml', stateDir: '/var/lib/second' };
  await t.rejects(mustHaveSystemd(manager, second), {
    code: 'USAGE',
    hint: /backup --config \/etc\/bakker\/second.yaml --state \/var\/lib\/second --quiet; .* retention --config .* --state /,
  });
  if (existsSync('/run/systemd/system')) return;
  const folder = t.testdir({ source: { file: 'x' } });
  const config = join(folder, 'bakker.yaml');
  const ended = runBakker(['init', join(folder, 'account'), '--timer', '--yes', '--config', config]);
  t.match(ended, { status: 2, stderr: /systemd does not run this machine/ });
  t.notOk(existsSync(config));
});

t.test('by the line for cron, retention follows a complete and a partial run, and no other', async (t) => {
  const launcher = join(t.testdir(), 'bakker');
  const manager = { ...(await systemd()), isThere: async () => false, launcher };
  const failure: unknown = await mustHaveSystemd(manager, USUAL).catch((error: unknown) => error);
  const hint = failure instanceof AgentError ? (failure.hint ?? '') : '';
  const command = hint.slice(hint.indexOf(' root ') + ' root '.length);
  for (const [status, follows] of [
    [0, true],
    [3, true],
    [1, false],
    [13, false],
  ] as const) {
    writeFileSync(launcher, `#!/bin/sh\necho $1 >&2\n[ $1 = retention ] || exit ${status}\n`, {
      mode: 0o755,
    });
    const { stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
    t.equal(stderr, follows ? 'backup\nretention\n' : 'backup\n', `after ${status}`);
  }
});

t.test('every unit that comes with bakker is one that systemd takes', async (t) => {
  const folder = t.testdir();
  cpSync(SYSTEMD, folder, { recursive: true });
  const units = readdirSync(folder).filter((name) => /\.(service|timer)$/.test(name));
  for (const name of units) {
    const file = join(folder, name);
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replaceAll(/\/usr\/local\/bin\/bakker(-storage)?/g, '/bin/true'),
    );
  }
  t.equal(verify(folder, units), '0');
  writeFileSync(join(folder, 'bakker.timer'), '[Timer]\nOnCalender=daily\n');
  t.not(verify(folder, ['bakker.timer']), '0', 'and it would say so');
});

t.test('the units are as well closed as the documentation says', async (t) => {
  const operations = readFileSync(join(SYSTEMD, '../docs/operations.md'), 'utf8');
  const [, plain, strict] =
    /rates `bakker\.service` (\d\.\d) .*, and (\d\.\d) with `bakker-strict\.conf`/.exec(operations) ?? [];
  const folder = t.testdir({ 'bakker.service.d': {} });
  cpSync(join(SYSTEMD, 'bakker.service'), join(folder, 'bakker.service'));
  t.equal(exposure(folder), plain);
  cpSync(join(SYSTEMD, 'bakker-strict.conf'), join(folder, 'bakker.service.d/strict.conf'));
  t.equal(exposure(folder), strict);
});

/** How exposed systemd finds bakker.service: from 0 to 10. */
function exposure(folder: string): string | undefined {
  const { stdout } = spawnSync(
    'systemd-analyze',
    ['security', '--offline=true', '--no-pager', 'bakker.service'],
    { encoding: 'utf8', env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` } },
  );
  return /Overall exposure level for bakker\.service: (\d\.\d)/.exec(stdout)?.[1];
}
