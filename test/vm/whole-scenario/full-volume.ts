import type { Test } from 'tap';
import { accountNamed, bakkerOf, enrolment, pastOf } from '../accounts-in-machine.ts';
import type { Machine } from '../machine.ts';
import type { BusyServer } from './busy-server.ts';

/** One more server, on the same machine, with an account on a small volume. */
const OTHER = bakkerOf('birch');

/** A server that fills its volume keeps its past, hurts nobody, and goes on once the volume has grown. */
export async function fullVolume(t: Test, server: BusyServer): Promise<void> {
  const { machine, say } = server;
  await enrolOther(machine);
  const first = await backUpOther(machine);
  t.equal(first.status, 0, first.stderr);
  const before = await accountNamed(machine, 'birch');
  t.match(before, { runs: 1, incomplete: 0 });
  const past = await pastOf(machine);

  await machine.must('head -c 45M /dev/urandom >/srv/other/too-large');
  const full = await backUpOther(machine);
  t.equal(full.status, 13, full.stderr);
  say(
    `birch has a volume of 32 MB and 45 MB more to store: exit ${full.status ?? '?'}: ${lastLine(full.stderr)}`,
  );
  t.match(await accountNamed(machine, 'birch'), { runs: 1, lastRun: before.lastRun });
  t.equal(await pastOf(machine), past, 'not a byte or attribute of a run that was there has changed');

  const latest = await server.latest();
  const other = await server.backUp();
  t.equal(other.status, 0, `the other account takes a run meanwhile\n${other.said}`);
  t.not(await server.latest(), latest);
  say(`alder, beside it: exit ${other.status}, latest is ${await server.latest()}`);

  await machine.must('bakker-storage grow birch 128M');
  const grown = await backUpOther(machine);
  t.equal(grown.status, 0, `the next run completes\n${grown.stderr}`);
  t.match(await accountNamed(machine, 'birch'), { runs: 2, incomplete: 0 });
  await machine.must('cmp /srv/other/too-large /backups/birch/latest/srv/other/too-large');
  t.equal(await pastOf(machine), past, 'and the first runs are as they were');
  await machine.must(`${OTHER} restore --to /restored-birch --quiet`);
  await machine.must('diff -r /srv/other /restored-birch/srv/other');
  say('birch, grown to 128 MB: its next run is complete, and comes back whole');
}

async function enrolOther(machine: Machine): Promise<void> {
  await machine.must(
    `for i in $(seq 50); do mkdir -p /srv/other/$i; echo file $i >/srv/other/$i/file; done
     head -c 1M /dev/urandom >/srv/other/large
     bakker-storage provision birch --backend lvm --vg backups --fs ext4 --size 32M --key /root/key.pub
     ${enrolment('birch', '/srv/other')}`,
  );
}

function backUpOther(machine: Machine): ReturnType<Machine['run']> {
  return machine.run(`${OTHER} backup --force --quiet`);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
