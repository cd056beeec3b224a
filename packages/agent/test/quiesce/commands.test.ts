import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { openServices } from '../../src/adapters/services/open-services.ts';
import { openUndoing } from '../../src/adapters/undo/open-undoing.ts';
import type { KindSettings } from '../../src/config/service-settings.ts';
import { AgentError } from '../../src/errors.ts';
import { enterAll } from '../../src/quiesce/enter-all.ts';
import type { EnteredServices } from '../../src/quiesce/enter-all.ts';
import { recover } from '../../src/undo/recover.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-commands-'));
fs.chmodSync(folder, 0o777);
const stateDir = path.join(folder, 'state');
fs.mkdirSync(stateDir);
const bin = path.join(folder, 'bin');
fs.mkdirSync(bin);
process.env['PATH'] = `${bin}:${process.env['PATH'] ?? ''}`;
process.env['SECRET_OF_BAKKER'] = 'not for children';
const undoing = openUndoing(stateDir, { nowMs: Date.now });
t.teardown(() => {
  undoing[Symbol.dispose]();
  fs.rmSync(folder, { recursive: true, force: true });
});

function enter(settings: KindSettings, { timeoutMs = 10_000 } = {}): Promise<EnteredServices> {
  return enterAll(openServices([{ name: 'app', timeoutMs, ...settings }], stateDir).services, {
    journal: undoing.journal,
    clock: { nowMs: () => performance.now() },
    signal: new AbortController().signal,
    windowMs: 60_000,
  });
}

function shell(enter: string, leave: string | undefined, user?: string): KindSettings {
  const words = (text: string): string[] => ['/bin/sh', '-c', `cd ${folder}; ${text}`];
  return {
    kind: 'command',
    enter: words(enter),
    leave: leave === undefined ? undefined : words(leave),
    user,
  };
}

function read(name: string): string {
  return fs.readFileSync(path.join(folder, name), 'utf8');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');
  } catch {
    return false;
  }
}

/** What was killed may take a moment after its memory is gone. */
async function hasEnded(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 50 && isAlive(pid); tries++) await sleep(10);
  return !isAlive(pid);
}

t.test('words reach a command as they are, and no shell looks at them', async (t) => {
  const words = ['$HOME', '*', 'a b', "'", ';', 'é'];
  const settings: KindSettings = {
    kind: 'command',
    enter: ['sh', '-c', 'printf "%s\\n" "$@" >"$0"', `${folder}/words`, ...words],
    leave: undefined,
    user: undefined,
  };
  await (await enter(settings)).leaveAll();
  t.same(read('words').split('\n').slice(0, -1), words);
});

t.test('a command runs as its user with all its groups, without the environment of bakker', async (t) => {
  await (
    await enter(shell('id -un >who; id -G >groups; env >environment; pwd >>environment', undefined, 'nobody'))
  ).leaveAll();
  t.equal(read('who').trim(), 'nobody');
  t.equal(read('groups').trim(), execFileSync('id', ['-G', 'nobody'], { encoding: 'utf8' }).trim());
  const environment = read('environment');
  t.match(environment, /^LC_ALL=C$/m);
  t.match(environment, /^USER=nobody$/m);
  t.notMatch(environment, /SECRET_OF_BAKKER/);
  await t.rejects(enter(shell('true', undefined, 'no-such-user')), {
    code: 'QUIESCE_FAILED',
    message: 'there is no user no-such-user on this machine',
  });
});

t.test('a failing command is told with its status and its last words, however many there were', async (t) => {
  const error: unknown = await enter(
    shell('yes word | head -c 3000000; echo it is stuck >&2; exit 7', 'touch left'),
  ).catch((error: unknown) => error);
  t.ok(error instanceof AgentError);
  t.match(error, {
    code: 'QUIESCE_FAILED',
    exitStatus: 14,
    message: /^\/bin\/sh ended with status 7: .*it is stuck$/s,
    hint: /docs\/quiesce\.md/,
  });
  t.ok(String(error).length < 2_000);
  t.ok(fs.existsSync(path.join(folder, 'left')), 'what failed to enter is left too');
  const missing: KindSettings = {
    kind: 'command',
    enter: ['/no/such/program'],
    leave: undefined,
    user: undefined,
  };
  await t.rejects(enter(missing), {
    code: 'QUIESCE_FAILED',
    message: /^\/no\/such\/program can't be started: .*ENOENT/,
  });
  t.same(undoing.journal.pending(), []);
});

t.test(
  'at its time limit a command is ended with all that it started, also what does not want to',
  async (t) => {
    const stubborn = `trap '' TERM; (trap '' TERM; echo $$ >/dev/null; sleep 300 & echo $! >grandchild; wait) & echo $! >child; wait; sleep 300`;
    const hasStarted = (): boolean =>
      ['child', 'grandchild'].every((name) =>
        /\n/.test(fs.existsSync(path.join(folder, name)) ? read(name) : ''),
      );
    // a busy machine may need longer to start it
    for (let timeoutMs = 400; !hasStarted(); timeoutMs *= 2)
      await t.rejects(enter(shell(stubborn, 'true'), { timeoutMs }), {
        code: 'QUIESCE_FAILED',
        message: new RegExp(`^entering app took longer than ${timeoutMs / 1000} s: /bin/sh was stopped`),
      });
    for (const name of ['child', 'grandchild']) t.notOk(isAlive(Number(read(name))), name);
  },
);

t.test('what entering left in the background, even out of its group, is ended before leaving', async (t) => {
  const entered = await enter(shell('setsid sleep 300 >/dev/null 2>&1 & echo $! >background', 'true'));
  const pid = Number(read('background'));
  t.ok(isAlive(pid));
  await entered.leaveAll();
  t.ok(await hasEnded(pid));
});

t.test(
  'what entering left in the background is ended by recovery, also where no command leaves',
  async (t) => {
    const entered = await enter(shell('setsid sleep 300 >/dev/null 2>&1 & echo $! >background', undefined));
    const pid = Number(read('background'));
    t.match(await recover(undoing.journal, undoing.undoers), { undone: [{}], failed: { length: 0 } });
    t.notOk(isAlive(pid));
    await entered.leaveAll();
  },
);

t.test(
  'a service that leaving starts keeps running, and is not waited for though it holds the output open',
  async (t) => {
    const entered = await enter(shell('true', 'setsid sleep 300 & echo $! >daemon'));
    await entered.leaveAll();
    const pid = Number(read('daemon'));
    t.ok(isAlive(pid));
    process.kill(pid, 'SIGKILL');
  },
);

/** systemctl as far as units know it: files in a folder are states, and what else `show` says of a unit is beside them. */
const SYSTEMCTL = `#!/bin/sh
cd ${folder}/units || exit 1
seen=
stop() {
  case " $seen " in *" $1 "*) return ;; esac
  seen="$seen $1"
  if grep -qs lingers "../about/$1"; then echo deactivating running; else echo inactive running; fi >"$1"
  [ ! -e "../about/$1" ] || for other in $(grep -E '^(RequiredBy|BoundBy|ConsistsOf)=' "../about/$1" | cut -d= -f2); do stop "$other"; done
}
verb=$1; shift
case $verb in
  show) for unit; do :; done
    [ ! -e ../silent ] || exit 0
    [ -e "$unit" ] || { echo LoadState=not-found; echo ActiveState=inactive; exit 0; }
    echo LoadState=loaded; read -r active freezer <"$unit"; echo "ActiveState=$active"; echo "FreezerState=$freezer"
    [ "$active" != deactivating ] || echo inactive running >"$unit"
    [ ! -e "../about/$unit" ] || cat "../about/$unit" ;;
  *) shift; for unit; do
      echo "$verb $unit" >>../systemctl.log
      [ -e "$unit" ] || { echo "Unit $unit not found." >&2; exit 5; }
      [ ! -e "../refuse-$verb" ] || { echo "Job for $unit failed." >&2; exit 1; }
      case $verb in
        stop) stop "$unit" ;; start) echo active running >"$unit" ;;
        freeze) echo active frozen >"$unit" ;; thaw) echo active running >"$unit" ;;
      esac
    done ;;
esac
`;
fs.writeFileSync(path.join(bin, 'systemctl'), SYSTEMCTL, { mode: 0o755 });
for (const name of ['units', 'about']) fs.mkdirSync(path.join(folder, name));

function unit(name: string, state: string, about = ''): void {
  fs.writeFileSync(path.join(folder, 'units', name), `${state}\n`);
  fs.writeFileSync(path.join(folder, 'about', name), about);
}

t.test('units that run are stopped in order and started again; the others are left alone', async (t) => {
  unit('web.service', 'active running');
  unit('idle.service', 'inactive running');
  unit('db.service', 'active running');
  const settings = {
    kind: 'systemd',
    units: ['web.service', 'idle.service', 'db.service'],
    by: 'stop',
  } as const;
  const entered = await enter(settings);
  t.match(undoing.journal.pending(), [
    { step: { kind: 'start-units', what: 'start web.service, db.service' } },
  ]);
  t.equal(read('units/web.service'), 'inactive running\n');
  await entered.leaveAll();
  t.same(read('systemctl.log').trim().split('\n'), [
    'stop web.service',
    'stop db.service',
    'start db.service',
    'start web.service',
  ]);

  await t.rejects(enter({ ...settings, units: ['nowhere.service'] }), {
    code: 'QUIESCE_FAILED',
    message: 'systemd has no unit nowhere.service',
  });

  const frozen = await enter({ ...settings, units: ['web.service'], by: 'freeze' });
  t.equal(read('units/web.service'), 'active frozen\n');
  await t.rejects(enter({ ...settings, units: ['web.service'], by: 'freeze' }), {
    code: 'QUIESCE_FAILED',
    message: /is frozen already/,
  });
  // as after a death and a restart of the machine: recovery finds it running, or thaws it
  t.match(await recover(undoing.journal, undoing.undoers), { undone: [{}], failed: { length: 0 } });
  t.equal(read('units/web.service'), 'active running\n');
  await frozen[Symbol.asyncDispose]();

  fs.writeFileSync(path.join(folder, 'refuse-start'), '');
  const stuck = await enter({ ...settings, units: ['db.service'] });
  await t.rejects(stuck.leaveAll(), {
    code: 'QUIESCE_FAILED',
    message: /leaving app failed: systemctl ended with status 1: Job for db\.service failed/,
  });
  fs.rmSync(path.join(folder, 'refuse-start'));
  t.match(await recover(undoing.journal, undoing.undoers), {
    undone: [{ step: { units: ['db.service'] } }],
    failed: { length: 0 },
  });
  t.equal(read('units/db.service'), 'active running\n');
});

t.test('what a disk keeps from ending does not keep a service from being left', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 << 20 });
  execFileSync('fsfreeze', ['-f', disk.folder]);
  try {
    const stuck = shell(`echo x >${disk.folder}/file`, 'touch left-beside-it');
    await t.rejects(enter(stuck, { timeoutMs: 2_000 }), { code: 'QUIESCE_FAILED' });
    t.ok(fs.existsSync(path.join(folder, 'left-beside-it')));
    t.same(undoing.journal.pending(), []);
  } finally {
    execFileSync('fsfreeze', ['-u', disk.folder]);
  }
});

t.test('what systemd stops along with a unit is started again behind it', async (t) => {
  unit('postgres.service', 'active running', 'RequiredBy=shop.service idle.service\nBoundBy=\n');
  unit('shop.service', 'active running', 'Id=shop.service\nConsistsOf=shop-jobs.service postgres.service\n');
  unit('idle.service', 'inactive running', 'BoundBy=monitor.service\n');
  unit('shop-jobs.service', 'active running');
  unit('monitor.service', 'active running');
  fs.rmSync(path.join(folder, 'systemctl.log'));
  const entered = await enter({ kind: 'systemd', units: ['postgres.service'], by: 'stop' });
  t.equal(read('units/shop-jobs.service'), 'inactive running\n');
  t.match(undoing.journal.pending(), [
    { step: { what: 'start postgres.service, shop.service, shop-jobs.service, monitor.service' } },
  ]);
  await entered.leaveAll();
  t.same(read('systemctl.log').trim().split('\n'), [
    'stop postgres.service',
    'start postgres.service',
    'start shop.service',
    'start shop-jobs.service',
    'start monitor.service',
  ]);
  t.equal(read('units/idle.service'), 'inactive running\n', 'what had not run before does not run now');
});

t.test('what is still stopping is waited for, named or stopped along', async (t) => {
  unit('postgres.service', 'active running', 'RequiredBy=shop.service\n');
  unit('shop.service', 'active running', 'lingers\n');
  unit('idle.service', 'deactivating running');
  const entered = await enter({ kind: 'systemd', units: ['postgres.service', 'idle.service'], by: 'stop' });
  for (const name of ['shop', 'idle']) t.equal(read(`units/${name}.service`), 'inactive running\n', name);
  await entered.leaveAll();
  t.equal(read('units/shop.service'), 'active running\n');
  t.equal(read('units/idle.service'), 'inactive running\n', 'somebody else stopped it');
});

t.test('a unit that systemd could not start again is not stopped', async (t) => {
  const settings = { kind: 'systemd', units: ['postgres.service'], by: 'stop' } as const;
  for (const [broken, state] of [
    ['postgres', 'bad-setting'],
    ['shop', 'not-found'],
  ] as const) {
    const about = (name: string): string => (name === broken ? `LoadState=${state}\n` : '');
    unit('postgres.service', 'active running', `RequiredBy=shop.service\n${about('postgres')}`);
    unit('shop.service', 'active running', about('shop'));
    await t.rejects(enter(settings), {
      code: 'QUIESCE_FAILED',
      message: `systemd could not start ${broken}.service again: it is ${state}`,
      hint: `systemctl status ${broken}.service says why`,
    });
    t.equal(read('units/postgres.service'), 'active running\n');
  }
});

t.test(
  'a unit whose file was broken, or of which systemctl tells nothing, stays to be released',
  async (t) => {
    for (const by of ['freeze', 'stop'] as const) {
      unit('web.service', 'active running');
      const entered = await enter({ kind: 'systemd', units: ['web.service'], by });
      unit('web.service', by === 'stop' ? 'inactive running' : 'active frozen', 'LoadState=bad-setting\n');
      for (const name of ['refuse-start', 'silent']) fs.writeFileSync(path.join(folder, name), '');
      t.match(await recover(undoing.journal, undoing.undoers), { undone: { length: 0 }, failed: [{}] }, by);
      fs.rmSync(path.join(folder, 'silent'));
      if (by === 'stop') t.match(await recover(undoing.journal, undoing.undoers), { failed: [{}] });
      fs.rmSync(path.join(folder, 'refuse-start'));
      t.match(await recover(undoing.journal, undoing.undoers), { undone: [{}], failed: { length: 0 } });
      t.equal(read('units/web.service'), 'active running\n', by);
      await entered[Symbol.asyncDispose]();
    }
  },
);

t.test('a unit that was masked while it was frozen runs again', async (t) => {
  unit('web.service', 'active running');
  const entered = await enter({ kind: 'systemd', units: ['web.service'], by: 'freeze' });
  unit('web.service', 'active frozen', 'LoadState=masked\n');
  await recover(undoing.journal, undoing.undoers);
  t.equal(read('units/web.service'), 'active running\n');
  await entered[Symbol.asyncDispose]();
});

t.test('a unit that was started while it should stand still makes the snapshot worthless', async (t) => {
  const message = /^(docker|idle)\.service ran before the snapshot was there/;
  for (const woken of ['docker.service', 'idle.service']) {
    unit('docker.service', 'active running');
    unit('idle.service', 'inactive running');
    const settings = { kind: 'systemd', units: ['docker.service', 'idle.service'], by: 'stop' } as const;
    const entered = await enter(settings);
    unit(woken, 'active running');
    await t.rejects(entered.leaveAll(), { code: 'QUIESCE_FAILED', message, hint: /a socket/ }, woken);
    t.equal(read('units/docker.service'), 'active running\n');
    t.same(undoing.journal.pending(), [], 'it was released all the same');
  }
  unit('idle.service', 'inactive running');
  const idle = await enter({ kind: 'systemd', units: ['idle.service'], by: 'stop' });
  unit('idle.service', 'active running');
  await t.rejects(idle.leaveAll(), { message }, 'nothing had run');
  const frozen = await enter({ kind: 'systemd', units: ['docker.service'], by: 'freeze' });
  unit('docker.service', 'active running');
  await t.rejects(frozen.leaveAll(), { message }, 'thawed by somebody');
});

t.test('a unit that was removed since is nothing to thaw or to start', async (t) => {
  for (const by of ['freeze', 'stop'] as const) {
    unit('gone.service', 'active running');
    unit('web.service', 'active running');
    const entered = await enter({ kind: 'systemd', units: ['web.service', 'gone.service'], by });
    fs.rmSync(path.join(folder, 'units', 'gone.service'));
    t.match(await recover(undoing.journal, undoing.undoers), { undone: [{}], failed: { length: 0 } }, by);
    t.equal(read('units/web.service'), 'active running\n', 'the other is released');
    await entered[Symbol.asyncDispose]();
  }
});

t.test('the maintenance mode of Nextcloud is ended if it was begun here', async (t) => {
  const occ = `#!/bin/sh
case "$*" in
  *--on*) echo on >mode; echo 'Maintenance mode enabled' ;;
  *--off*) echo off >mode; echo 'Maintenance mode disabled' ;;
  *maintenance:mode*) [ "$(cat mode)" = on ] && echo 'Maintenance mode is currently enabled' || echo 'Maintenance mode is currently disabled' ;;
esac
`;
  fs.writeFileSync(path.join(folder, 'occ'), occ);
  fs.writeFileSync(path.join(folder, 'mode'), 'off\n');
  fs.chmodSync(path.join(folder, 'mode'), 0o666);
  const settings = { kind: 'nextcloud', path: folder, user: 'nobody', php: '/bin/sh' } as const;
  const entered = await enter(settings);
  t.equal(read('mode'), 'on\n');
  await entered.leaveAll();
  t.equal(read('mode'), 'off\n');
  fs.writeFileSync(path.join(folder, 'mode'), 'on\n');
  const released = await enter(settings);
  fs.writeFileSync(path.join(folder, 'mode'), 'off\n');
  const message = /^the maintenance mode of .* ended before the snapshot was there/;
  await t.rejects(released.leaveAll(), { code: 'QUIESCE_FAILED', message });
  fs.writeFileSync(path.join(folder, 'mode'), 'on\n');
  const already = await enter(settings);
  t.notMatch(undoing.journal.pending(), [{ step: { kind: 'leave-command' } }]);
  await already.leaveAll();
  t.equal(read('mode'), 'on\n', 'somebody else had begun it');
  const ended = await enter(settings);
  fs.writeFileSync(path.join(folder, 'mode'), 'off\n');
  await t.rejects(ended.leaveAll(), { code: 'QUIESCE_FAILED', message }, 'and ended it too early');
});

t.test('nothing is left running', async (t) => {
  await sleep(50);
  const ours = fs.readdirSync('/proc').filter((pid) => {
    if (!/^[0-9]+$/.test(pid)) return false;
    const about = (name: string): string => fs.readFileSync(`/proc/${pid}/${name}`, 'latin1');
    try {
      return about('environ').includes('BAKKER_STEP=') && about('cmdline').includes(folder);
    } catch {
      return false; // it ended meanwhile: one of another test
    }
  });
  t.same(ours, []);
});
