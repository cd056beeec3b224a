import t from 'tap';
import { startMachine, type Machine } from './machine.ts';

t.setTimeout(1_700_000);

const RUN_TIMEOUT_MS = 400_000;
const KEY = '/root/server-key';

interface Overview {
  readonly account: string;
  readonly runs: number;
  readonly incomplete: number;
  readonly lastRun: string | null;
}

await t.test(
  'a server that fills its volume keeps its past, hurts nobody, and goes on once it has grown',
  async (t) => {
    await using machine = await startMachine({ disks: ['2G'] });
    await machine.must(`vgcreate -q backups ${machine.disks[0]}`);
    await machine.must(`ssh-keygen -q -t ed25519 -N '' -f ${KEY}`);
    await machine.must(
      'for i in $(seq 50); do mkdir -p /srv/a/$i; echo file $i >/srv/a/$i/file; done; cp -a /srv/a /srv/b',
    );
    await machine.must('head -c 4M /dev/urandom >/srv/a/large; head -c 1M /dev/urandom >/srv/b/large');
    await enrol(machine, { name: 'alder', fs: 'xfs', size: '320M', source: '/srv/a' });
    await enrol(machine, { name: 'birch', fs: 'ext4', size: '64M', source: '/srv/b' });

    for (const name of ['alder', 'birch']) {
      const { status, stderr } = await backUp(machine, name);
      t.equal(status, 0, `${name}: the first run\n${stderr}`);
    }
    const [alder, birch] = [await overviewOf(machine, 'alder'), await overviewOf(machine, 'birch')];
    t.match(
      [alder, birch],
      [
        { runs: 1, incomplete: 0 },
        { runs: 1, incomplete: 0 },
      ],
    );
    const past = await pastOf(machine);

    await machine.must('head -c 90M /dev/urandom >/srv/b/too-large');
    const full = await backUp(machine, 'birch');
    t.equal(full.status, 13, full.stderr);
    t.match(await overviewOf(machine, 'birch'), { runs: 1, lastRun: birch.lastRun });
    t.equal(await pastOf(machine), past, 'not a byte or attribute of a run that was there has changed');

    await machine.must('echo new >/srv/a/new');
    const other = await backUp(machine, 'alder');
    t.equal(other.status, 0, `the other account takes a run meanwhile\n${other.stderr}`);
    t.match(await overviewOf(machine, 'alder'), { runs: 2, incomplete: 0 });

    await machine.must('bakker-storage grow birch 256M');
    const grown = await backUp(machine, 'birch');
    t.equal(grown.status, 0, `the next run completes\n${grown.stderr}`);
    t.match(await overviewOf(machine, 'birch'), { runs: 2, incomplete: 0 });
    await machine.must('cmp /srv/b/too-large /backups/birch/latest/srv/b/too-large');
    t.equal(await pastOf(machine), past, 'and the first runs are as they were');

    await machine.must(`${bakker('birch')} restore --to /restored`, { timeoutMs: RUN_TIMEOUT_MS });
    await machine.must('diff -r /srv/b /restored/srv/b');
  },
);

async function enrol(
  machine: Machine,
  { name, fs, size, source }: { name: string; fs: string; size: string; source: string },
): Promise<void> {
  const volume = `--backend lvm --vg backups --fs ${fs} --size ${size}`;
  await machine.must(`bakker-storage provision ${name} ${volume} --key ${KEY}.pub`, {
    timeoutMs: RUN_TIMEOUT_MS,
  });
  const pin = (await machine.must('ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1];
  await machine.must(
    `${bakker(name)} init ${name}@127.0.0.1:/ --identity ${KEY} --host-key ${pin} --source ${source} --yes`,
    { timeoutMs: RUN_TIMEOUT_MS },
  );
}

/** One server for each account, on the same machine. */
function bakker(name: string): string {
  return `bakker --config /etc/bakker/${name}.yaml --state /var/lib/bakker-${name}`;
}

function backUp(machine: Machine, name: string): ReturnType<Machine['run']> {
  return machine.run(`${bakker(name)} backup --force --quiet`, { timeoutMs: RUN_TIMEOUT_MS });
}

async function overviewOf(machine: Machine, name: string): Promise<Overview> {
  const all = JSON.parse(await machine.must('bakker-storage accounts --json')) as Overview[];
  const found = all.find(({ account }) => account === name);
  if (!found) throw new Error(`no account ${name}`);
  return found;
}

/** Contents and attributes of each account's first run. Links are counted by later runs, so their number is left out. */
function pastOf(machine: Machine): Promise<string> {
  return machine.must(
    'for run in /backups/*/*_*_*_01; do find "$run" -printf "%P %y %m %U %G %s %T@ %i\\n" | sort; find "$run" "$run.impl" -type f -exec sha256sum {} + | sort; done',
  );
}
