import t from 'tap';
import { accountNamed, asAccount } from './accounts-in-machine.ts';
import { startMachine, type Machine } from './machine.ts';

t.setTimeout(7_200_000);

const MEBIBYTE = 2 ** 20;

await t.test(
  'an account on a volume of its own fills, grows, closes and goes without the others',
  async (t) => {
    await using machine = await startMachine({ disks: ['3G'] });
    const [disk = ''] = machine.disks;
    await machine.must(`vgcreate -q backups ${disk}`);
    await machine.must(`ssh-keygen -q -t ed25519 -N '' -f /root/server-key`);
    const provision = (name: string, fs: string, size: string): string =>
      `bakker-storage provision ${name} --backend lvm --vg backups --fs ${fs} --size ${size} --key /root/server-key.pub`;

    const planned = await machine.must(`${provision('alder', 'xfs', '400M')} --dry-run`);
    t.match(planned, /lvcreate .*--name bakker-alder backups/, 'a dry run shows each command');
    t.equal(await volumesOf(machine), '', 'and makes nothing');
    await machine.must('! getent passwd alder');

    await machine.must(provision('alder', 'xfs', '400M'));
    await machine.must(provision('birch', 'ext4', '100M'));
    t.equal(await mountOf(machine, 'alder'), '/dev/mapper/backups-bakker--alder xfs');
    t.equal(await mountOf(machine, 'birch'), '/dev/mapper/backups-bakker--birch ext4');
    t.match(await machine.must('xfs_info /backups/alder'), /reflink=1/);
    t.equal(
      await machine.must('stat -c "%U %a" /backups/alder /backups/birch'),
      'alder 700\nbirch 700\n',
      'each folder is its account own',
    );
    t.equal(await volumesOf(machine), 'bakker-alder 400.00m\nbakker-birch 100.00m');

    await t.test('a second call changes nothing', async (t) => {
      const before = await stateOf(machine);
      for (const command of [provision('alder', 'xfs', '400M'), 'bakker-storage provision birch'])
        t.match(JSON.parse(await machine.must(`${command} --json`)), { changed: false });
      t.equal(await stateOf(machine), before);
    });

    await t.test('a full volume hurts nobody but its account', async (t) => {
      await machine.must(asAccount('alder', 'echo alder >/backups/alder/kept'));
      await machine.must(asAccount('birch', 'echo birch >/backups/birch/kept'));
      const before = await accountNamed(machine, 'alder');
      const filled = await machine.run(asAccount('birch', 'cat /dev/zero >/backups/birch/filling'));
      t.match(filled, { status: 1, stderr: /No space left on device/ });
      await machine.must(
        asAccount('alder', 'head -c 50M /dev/zero >/backups/alder/more && rm /backups/alder/more'),
      );
      t.equal(await machine.readFile('/backups/birch/kept'), 'birch\n');
      t.equal(await machine.readFile('/backups/alder/kept'), 'alder\n');
      const after = await accountNamed(machine, 'alder');
      t.same([after.limitBytes, after.states], [before.limitBytes, ['ok']]);
      const full = await accountNamed(machine, 'birch');
      t.ok(full.freeBytes < full.limitBytes / 100, `birch has ${full.freeBytes} bytes left`);
    });

    await t.test('volume and file system grow while a writer is at work', async (t) => {
      for (const [name, size] of [
        ['birch', '220M'],
        ['alder', '600M'],
      ] as const) {
        const { limitBytes } = await accountNamed(machine, name);
        const writing = machine.run(
          asAccount(
            name,
            `exec 3>/backups/${name}/open; echo begun >&3; while [ ! -e /tmp/grown-${name} ]; do sleep 0.2; done; head -c 90M /dev/zero >&3`,
          ),
        );
        await machine.must(`until [ -e /backups/${name}/open ]; do sleep 0.2; done`);
        await machine.must(`bakker-storage grow ${name} ${size} && touch /tmp/grown-${name}`);
        t.equal((await writing).status, 0, `${name}: a file that was open takes what did not fit before`);
        const grown = await accountNamed(machine, name);
        t.ok(grown.limitBytes >= limitBytes + 100 * MEBIBYTE, `${name} has ${grown.limitBytes} bytes`);
        t.same(grown.states, ['ok']);
      }
      const before = await volumesOf(machine);
      t.equal(before, 'bakker-alder 600.00m\nbakker-birch 220.00m');
      const tooMuch = await machine.run('bakker-storage grow alder 100G');
      t.match(tooMuch, { status: 13, stderr: /volume group backups has .* left/ });
      t.equal(await volumesOf(machine), before, 'what the group has not got changes nothing');
      t.equal((await machine.run('bakker-storage grow alder 500M')).status, 2, 'and a volume never shrinks');
    });

    await t.test(
      'a power cut while an account is made leaves one that the next call completes',
      async (t) => {
        const cut = machine.run(provision('cedar', 'xfs', '400M'));
        await machine.must('until lvs backups/bakker-cedar >/dev/null 2>&1; do sleep 0.1; done; sync');
        await machine.powerOff();
        t.equal((await cut).status, undefined);
        await machine.powerOn();

        t.equal(
          await mountOf(machine, 'alder'),
          '/dev/mapper/backups-bakker--alder xfs',
          'mounted by itself',
        );
        t.equal(
          await mountOf(machine, 'birch'),
          '/dev/mapper/backups-bakker--birch ext4',
          'mounted by itself',
        );
        t.equal(await machine.readFile('/backups/alder/kept'), 'alder\n');
        await machine.must(provision('cedar', 'xfs', '400M'));
        t.match(await accountNamed(machine, 'cedar'), { states: ['ok'] });
        t.equal(await mountOf(machine, 'cedar'), '/dev/mapper/backups-bakker--cedar xfs');
        await machine.must(asAccount('cedar', 'echo cedar >/backups/cedar/kept'));
      },
    );

    await t.test('a group that nothing else activates is, at each start', async (t) => {
      await machine.must('umount /backups/alder /backups/birch /backups/cedar && vgchange -q -an backups');
      await machine.must('systemctl is-enabled bakker-volumes@backups.service');
      const mounting = machine.run('systemctl start backups-alder.mount');
      await machine.must('systemctl start bakker-volumes@backups.service');
      t.equal((await mounting).status, 0, 'a mount that waits for its device gets it');
      t.equal(await mountOf(machine, 'alder'), '/dev/mapper/backups-bakker--alder xfs');
      await machine.must('systemctl start backups-birch.mount backups-cedar.mount');
    });

    await t.test('a closed account keeps its data, until it is deleted with its volume', async (t) => {
      await machine.must('bakker-storage deprovision birch');
      t.same((await accountNamed(machine, 'birch')).states, ['closed']);
      t.equal(await machine.readFile('/backups/birch/kept'), 'birch\n');
      await machine.must('bakker-storage provision birch');
      t.same((await accountNamed(machine, 'birch')).states, ['ok']);
      t.equal(await machine.readFile('/backups/birch/kept'), 'birch\n', 'opened again');

      await machine.must('bakker-storage deprovision birch --delete-data --yes');
      t.equal(await volumesOf(machine), 'bakker-alder 600.00m\nbakker-cedar 400.00m');
      t.notMatch(await machine.readFile('/etc/fstab'), 'birch');
      await machine.must('! getent passwd birch');
      t.equal(await machine.readFile('/backups/alder/kept'), 'alder\n');
      await machine.reboot();
      t.equal((await machine.must('systemctl is-system-running')).trim(), 'running', 'no mount is missed');
      t.equal(await machine.readFile('/backups/cedar/kept'), 'cedar\n');
    });
  },
);

async function mountOf(machine: Machine, name: string): Promise<string> {
  return (await machine.must(`findmnt -n -o SOURCE,FSTYPE /backups/${name}`)).trim().replace(/ +/, ' ');
}

/** Name and size of each volume, by name. */
async function volumesOf(machine: Machine): Promise<string> {
  const listed = await machine.must('lvs --noheadings -o lv_name,lv_size -O lv_name backups');
  return listed
    .split('\n')
    .map((line) => line.trim().replace(/ +/, ' '))
    .filter((line) => line !== '')
    .join('\n');
}

/** All that provisioning writes to. */
function stateOf(machine: Machine): Promise<string> {
  return machine.must(
    'lvs -o +lv_tags,lv_time backups; cat /etc/fstab /etc/passwd /etc/group; find /etc/bakker-storage /etc/ssh /backups -printf "%p %m %U %G %s %T@\\n" | sort',
  );
}
