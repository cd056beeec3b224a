import t from 'tap';
import { readRecorded } from '../../packages/agent/test/volumes/lvm-recorded.ts';
import { lvmAnswers } from './lvm-in-machine.ts';
import { startMachine } from './machine.ts';

t.setTimeout(7_200_000);

const seconds = (sinceMs: number): string => `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;

await t.test(
  'a machine runs commands, keeps its disks over a power-off, and has bakker installed',
  async (t) => {
    let sinceMs = Date.now();
    await using machine = await startMachine({ disks: ['1G', '200M'] });
    t.comment(`first command can run after ${seconds(sinceMs)}`);
    const [disk = '', second = ''] = machine.disks;

    t.match(await machine.run('echo out; echo err >&2; cat; exit 7', { input: 'in' }), {
      status: 7,
      stdout: 'out\nin',
      stderr: 'err\n',
    });
    t.equal((await machine.must(`blockdev --getsize64 ${second}`)).trim(), String(200 * 1024 ** 2));
    await t.rejects(machine.run('sleep 60', { timeoutMs: 1000 }), /took longer than 1000 ms: sleep 60/);
    t.notOk((await machine.must('pgrep -x sleep || true')).trim(), 'a command that took too long was killed');

    sinceMs = Date.now();
    t.match(await machine.must('bakker --version'), /^\d+\.\d+\.\d+\n$/);
    t.comment(`bakker --version took ${seconds(sinceMs)}`);
    sinceMs = Date.now();
    t.match(await machine.must('bakker-storage --version'), /^\d+\.\d+\.\d+\n$/);
    t.comment(`bakker-storage --version took ${seconds(sinceMs)}`);

    await machine.must(`vgcreate -q test ${disk} && lvcreate -q -n data -L 100M test`);
    await machine.must('mkfs.ext4 -q /dev/test/data && mkdir /data && mount /dev/test/data /data');
    await machine.writeFile('/data/flushed', 'kept\n');
    await machine.must('sync -f /data/flushed');
    await machine.must('lvcreate -q -s -n before -L 20M test/data');
    await machine.writeFile('/data/flushed', 'changed\n');
    await machine.must('sync -f /data/flushed');
    await machine.writeFile('/data/unflushed', 'lost\n');

    const begun = Promise.withResolvers<string>();
    const running = machine.run('echo begun; sleep 600', { onOutput: begun.resolve });
    const unanswered = begun.promise.then(() => machine.run('sleep 600'));
    t.equal(await begun.promise, 'begun\n');
    sinceMs = Date.now();
    await machine.powerOff();
    t.match(await running, { status: undefined, stdout: 'begun\n' });
    t.equal((await unanswered).status, undefined, 'a command ends without a status when the power goes');
    await t.rejects(machine.run('true'), /the machine is off/);
    await machine.powerOn();
    t.comment(`power-off and the start after it took ${seconds(sinceMs)}`);

    await machine.must('mount /dev/test/data /data && mkdir /before && mount -o ro /dev/test/before /before');
    t.equal(await machine.readFile('/data/flushed'), 'changed\n');
    t.equal(await machine.readFile('/before/flushed'), 'kept\n', 'the snapshot has what was there before');
    t.notOk((await machine.must('ls /data')).includes('unflushed'), 'what was not flushed is lost');

    await t.test('its LVM answers bakker as the one that is played elsewhere', async (t) => {
      t.strictSame(await lvmAnswers(machine, second), readRecorded());
    });

    await t.test('its LVM keeps the descriptor that it is to report to', async (t) => {
      // an LVM that waits for words has closed by then what it does not keep
      const look = (env: string): Promise<string> =>
        machine.must(
          `exec 3<>/tmp/busy; { sleep 3; echo exit; } | env ${env} lvm & sleep 2; readlink /proc/$(pidof lvm)/fd/3; wait`,
        );
      t.match(await look('LVM_REPORT_FD=3'), '/tmp/busy');
      t.notMatch(await look('LVM_REPORT_FD='), '/tmp/busy', 'as it would close it else');
    });

    const bootId = await machine.readFile('/proc/sys/kernel/random/boot_id');
    sinceMs = Date.now();
    await machine.reboot();
    t.comment(`a reboot took ${seconds(sinceMs)}`);
    t.not(await machine.readFile('/proc/sys/kernel/random/boot_id'), bootId);
    t.equal((await machine.must('systemctl is-system-running')).trim(), 'running');
  },
);
