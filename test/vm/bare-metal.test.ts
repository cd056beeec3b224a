import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { BackupReport } from '../harness/json-contracts.ts';
import { startStorageMachine, type StorageMachine } from '../harness/storage-machine.ts';
import { startMachine, type Machine } from './machine.ts';

t.setTimeout(14_400_000);

/** This machine, as QEMU's user network shows it: the storage. */
const STORAGE_HOST = '10.0.2.2';
/** The services have a snapshot, on a logical volume that the new machine will not have. */
const MORE_CONFIG = `interval: 0
exclude: [/swapfile, /opt/bakker/*, /tmp/*, /var/tmp/*, /var/cache/*]
services:
  - name: db
    mariadb:
`;
/** Programs of this test's image that nothing here needs: they would only take time. */
const SPARE = `/usr/lib/postgresql /usr/lib/python3* /usr/share/perl /usr/share/i18n /usr/share/locale /usr/share/doc
  /usr/lib/x86_64-linux-gnu/libLLVM* /usr/lib/x86_64-linux-gnu/perl* /usr/bin/mariabackup /usr/bin/mariadb-backup /var/lib/postgresql`;
const RUNNING_DATA = [
  './proc',
  './sys',
  './dev',
  './run',
  './tmp',
  './mnt',
  './lost+found',
  './swapfile',
  './opt/bakker',
]
  .concat([
    './var/tmp',
    './var/log',
    './var/cache',
    './var/lib/mysql',
    './var/lib/bakker',
    './var/lib/systemd',
    './etc/lvm/archive',
    './etc/lvm/backup',
  ])
  .map((path) => `-path ${path}`)
  .join(' -o ');

await t.test(
  'a lost server comes back from its backup, onto empty disks, and goes on backing up',
  async (t) => {
    await using storage = await startStorageMachine();
    const account = storage.newName();
    const lost = await backUpServer(t, { storage, account });

    // The image's own disk is the rescue system; its users have other numbers than the lost machine's.
    await using machine = await startMachine({ disks: ['3G', '300M', '100M'] });
    await machine.must('useradd -u 5005 alice && groupadd -g 5100 staffers');
    const [rootDisk = '', homeDisk = '', bootDisk = ''] = machine.disks;
    for (const disk of machine.disks) await machine.must(`mkfs.ext4 -q ${disk}`);
    await machine.must(
      `mkdir -p /mnt/newroot && mount ${rootDisk} /mnt/newroot && cd /mnt/newroot && mkdir home boot && mount ${homeDisk} home && mount ${bootDisk} boot`,
    );
    await enrol(machine, { storage, account, flags: '' });
    t.comment('the restore');
    await machine.must('bakker restore --to /mnt/newroot --numeric-owner');
    t.equal(
      await factsBelow(machine, '/mnt/newroot'),
      lost.facts,
      'owners, modes, times, links, ACLs, attributes and capabilities',
    );
    t.same(
      (await machine.must('ls -A /mnt/newroot/var/lib/bakker /mnt/newroot/proc /mnt/newroot/run')).match(
        /^\w.*$/gm,
      ),
      null,
    );
    await machine.must('test ! -e /mnt/newroot/swapfile');

    await machine.must('cp -a /etc/bakker/id_ed25519* /mnt/newroot/etc/bakker/');
    await machine.must(`cd /mnt/newroot && sed -i '/LABEL=machine/d; /LABEL=home/d; /LABEL=boot/d; /mysql/d; /swapfile/d' etc/fstab
    uuid() { blkid -s UUID -o value $1; }
    echo "UUID=$(uuid ${rootDisk}) / ext4 errors=remount-ro 0 1" >> etc/fstab
    echo "UUID=$(uuid ${homeDisk}) /home ext4 defaults 0 2" >> etc/fstab
    echo "UUID=$(uuid ${bootDisk}) /boot ext4 defaults 0 2" >> etc/fstab
    for dir in dev proc sys; do mount --rbind /$dir $dir; done; chroot . findmnt --verify`);
    const root = (await machine.must(`blkid -s UUID -o value ${rootDisk}`)).trim();
    await revokeOldKey(storage, account);
    await machine.must('sync');
    await machine.powerOff();
    t.comment('the start from the restored disk');
    await machine.powerOn(`UUID=${root}`);

    t.equal((await machine.must('hostname')).trim(), 'alder');
    t.match(await machine.must('findmnt -n -o SOURCE,UUID /'), root);
    await machine.run('systemctl is-system-running --wait');
    t.equal(await failedUnits(machine), lost.failedUnits);
    t.match(
      await machine.must('systemctl is-active ssh web mariadb bakker.timer'),
      'active\nactive\nactive\nactive\n',
    );
    t.equal(
      await machine.must('mariadb -BN book -e "SELECT n, t FROM ledger"'),
      '1\tone\n2\ttwo\n3\tthree\n',
    );
    t.match(await machine.must('runuser -u nobody -- /usr/local/bin/as-alice'), /euid=4001\(alice\)/);
    t.match(
      await machine.must('runuser -u nobody -- /usr/local/bin/with-capability /proc/self/status'),
      /CapEff:\s*0000000000002000/,
    );
    t.notMatch(await machine.must('journalctl -b -u bakker-recover.service'), /undone/i);

    // its timer may have started it already: a run was missed while the machine was gone
    await machine.must('while systemctl is-active -q bakker.service; do sleep 2; done', {
      timeoutMs: 3_600_000,
    });
    const refused = await machine.run('bakker backup --json');
    t.equal(refused.status, 1);
    t.match(refused.stderr, /\/var\/lib\/mysql is not mounted/, 'it has no file system of its own any more');
    await machine.must("sed -i '/mysql/d; /^services:/,$d' /etc/bakker/bakker.yaml");
    const goesOn = await backUp(machine, '--allow-empty');
    t.equal(goesOn.parent?.slice(-2), '02');
    t.ok(goesOn.files.new + goesOn.files.changed < goesOn.files.total * 0.05, JSON.stringify(goesOn));
    t.ok(goesOn.bytes.sent < goesOn.bytes.source * 0.2, JSON.stringify(goesOn.bytes));
    const runs = (await readdir(join(storage.rootDir, account))).filter((name) => /_0[23]$/.test(name));
    const inodes = runs.map((run) => statSync(join(storage.rootDir, account, run, 'usr/bin/rsync')).ino);
    t.equal(inodes.length, 2);
    t.equal(inodes[0], inodes[1], 'what is as it was is linked');
  },
);

/** Two runs of a machine that is gone when this returns. */
async function backUpServer(
  t: Test,
  { storage, account }: { storage: StorageMachine; account: string },
): Promise<{ facts: string; failedUnits: string }> {
  await using server = await startMachine({ disks: ['300M', '100M', '700M'] });
  await fill(server);
  await enrol(server, {
    storage,
    account,
    flags: '--source / --source /boot --source /home --source /var/lib/mysql --timer',
  });
  await server.must(`cat >> /etc/bakker/bakker.yaml <<'END'\n${MORE_CONFIG}END`);
  t.match(await server.must('bakker doctor'), /ok +sources/, 'no disk is forgotten');
  t.comment('the first run');
  const first = await backUp(server);
  t.equal(first.status, 'complete');
  t.notMatch(first.warnings.join('\n'), /beside the snapshots|changed each time/);
  await server.must('mariadb -e "INSERT INTO book.ledger VALUES (3, \'three\')"; echo newer > /srv/app/file');
  const second = await backUp(server);
  t.ok(second.files.unchanged > second.files.total * 0.9, JSON.stringify(second));
  return { facts: await factsBelow(server, '/'), failedUnits: await failedUnits(server) };
}

/** What makes a server hard to bring back. */
async function fill(server: Machine): Promise<void> {
  const [home = '', boot = '', volumes = ''] = server.disks;
  await server.must('hostnamectl hostname alder && sed -i s/machine/alder/ /etc/hosts');
  await server.must(
    `mkfs.ext4 -q -L home ${home} && mkfs.ext4 -q -L boot ${boot} && vgcreate -q data ${volumes}`,
  );
  await server.must('lvcreate -q -y -n mysql -L 500M data && mkfs.ext4 -q /dev/data/mysql');
  await server.must(`cat >> /etc/fstab <<'END'
LABEL=home /home ext4 defaults 0 2
LABEL=boot /boot ext4 defaults 0 2
/dev/data/mysql /var/lib/mysql ext4 defaults 0 2
/swapfile none swap sw 0 0
END
mv /var/lib/mysql /var/lib/mysql.old && mkdir /var/lib/mysql
systemctl daemon-reload && mount /home && mount /boot && mount /var/lib/mysql
cp -a /var/lib/mysql.old/. /var/lib/mysql/ && rm -r /var/lib/mysql.old
head -c 16M /dev/urandom > /swapfile && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile
head -c 3M /dev/urandom > /boot/vmlinuz-of-alder`);
  await server.must(`set -e
groupadd -g 4100 staffers; useradd -u 4001 -g staffers -m alice; useradd -r -u 977 -M app
install -d -o app -g staffers -m 2770 /srv/app; setfacl -m u:alice:rwx,d:u:alice:rwx,d:g:staffers:rx /srv/app
echo shared > /srv/app/file; chown app:staffers /srv/app/file; setfacl -m u:alice:r /srv/app/file; setfattr -n user.note -v hello /srv/app/file
install -o alice -g staffers -m 6755 /usr/bin/id /usr/local/bin/as-alice
install -m 755 /usr/bin/cat /usr/local/bin/with-capability
setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 /usr/local/bin/with-capability # cap_net_raw+ep
mkdir -p /srv/odd /srv/other
mknod /srv/odd/null c 1 3; mknod /srv/odd/block b 7 99; mkfifo -m 600 /srv/odd/fifo
ssh-agent -a /srv/odd/socket > /root/agent; . /root/agent > /dev/null; kill -9 $SSH_AGENT_PID
ln /srv/app/file /srv/other/same; ln -s /nowhere /srv/odd/dangling; ln -s ../app/file /srv/odd/relative; chown -h alice /srv/odd/dangling
truncate -s 50M /srv/odd/sparse; echo middle | dd of=/srv/odd/sparse bs=1 seek=20000000 conv=notrunc status=none
touch "$(printf '/srv/odd/caf\\351')"; touch -d '1999-12-31 23:59:59.123456789' /srv/odd/old
install -o alice -g staffers -m 600 /dev/null /home/alice/letter`);
  await server.writeFile(
    '/etc/systemd/system/web.service',
    '[Service]\nDynamicUser=yes\nStateDirectory=web\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
  );
  await server.must('systemctl daemon-reload && systemctl enable -q --now mariadb web');
  await server.must(
    "mariadb -e \"CREATE DATABASE book; CREATE TABLE book.ledger (n INT PRIMARY KEY, t TEXT); INSERT INTO book.ledger VALUES (1, 'one'), (2, 'two')\"",
  );
  await server.must(`rm -rf ${SPARE.replace(/\s+/g, ' ')}`);
}

/** `init`, the line that the storage's administrator runs, and `init` again. */
async function enrol(
  server: Machine,
  { storage, account, flags }: { storage: StorageMachine; account: string; flags: string },
): Promise<void> {
  const init = `bakker init ssh://${account}@${STORAGE_HOST}:${storage.port}/ --host-key ${storage.hostKeyFingerprint} --yes ${flags}`;
  const { status, stderr } = await server.run(init);
  if (status !== 10) throw new Error(`init ended with ${status}: ${stderr}`);
  const key = (await server.must("cut -d ' ' -f 1,2 /etc/bakker/id_ed25519.pub")).trim();
  const isNew = !(await storage.run(['accounts'])).stdout.includes(account);
  const made = await storage.run(['provision', account, '--key', key, ...(isNew ? ['--size', '10G'] : [])]);
  if (made.status !== 0) throw new Error(made.stderr);
  await server.must(init);
}

async function revokeOldKey(storage: StorageMachine, account: string): Promise<void> {
  const all = JSON.parse((await storage.run(['accounts', '--json'])).stdout) as {
    account: string;
    keys: { fingerprint: string }[];
  }[];
  const [old = { fingerprint: '' }] = all.find((each) => each.account === account)?.keys ?? [];
  const { status, stderr } = await storage.run(['revoke', account, '--key', old.fingerprint]);
  if (status !== 0) throw new Error(stderr);
}

async function backUp(machine: Machine, flags = ''): Promise<BackupReport> {
  return JSON.parse(
    await machine.must(`bakker backup --json ${flags}`, { timeoutMs: 7_200_000 }),
  ) as BackupReport;
}

function failedUnits(machine: Machine): Promise<string> {
  return machine.must('systemctl --failed --plain --no-legend');
}

/** Of everything that stands still while the machine runs, below the folder: attributes, links and contents. */
function factsBelow(machine: Machine, folder: string): Promise<string> {
  const listed = `find . -mindepth 1 \\( ${RUNNING_DATA} \\) -prune -o`;
  return machine.must(`cd ${folder}
${listed} -type d -printf '%P|%y|%m|%U|%G|%T@\\n' -o -printf '%P|%y|%m|%U|%G|%T@|%s|%l|%n\\n' | sort
${listed} ! -type l -print0 | sort -z | xargs -0 getfacl -n -s -c | grep .
${listed} -print0 | sort -z | xargs -0 getfattr -h -d -m '^(user|security|trusted)' -e hex
${listed} -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`);
}
