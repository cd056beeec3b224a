import t from 'tap';
import { accountNamed, asAccount, bakkerOf, enrolment, pastOf } from './accounts-in-machine.ts';
import { startMachine, type Machine } from './machine.ts';

t.setTimeout(7_200_000);

const MEBIBYTE = 2 ** 20;
const FSTAB = 'LABEL=backups /backups xfs defaults,prjquota 0 2';

await t.test('an account with a project quota fills, grows and goes without the others', async (t) => {
  await using machine = await startMachine({ disks: ['2G'] });
  const [disk = ''] = machine.disks;
  await machine.must(`mkfs.xfs -q -L backups ${disk} && mkdir -p /backups && mount ${disk} /backups`);
  await machine.must(`ssh-keygen -q -t ed25519 -N '' -f /root/key`);
  const provision = (name: string, size: string): string =>
    `bakker-storage provision ${name} --backend xfs-quota --size ${size} --key /root/key.pub`;

  const without = await machine.run(provision('alder', '64M'));
  t.match(without, { status: 2, stderr: /mounted without project quotas[^]*prjquota/ });
  t.equal(await machine.must('ls /backups'), '', 'nothing is made where no quota would hold');
  await machine.must('! getent passwd alder');

  await machine.must(`umount /backups && echo '${FSTAB}' >>/etc/fstab && mount /backups`);
  t.match(
    await machine.must(`${provision('alder', '64M')} --dry-run`),
    /xfs_quota -x -c 'limit -p bhard=65536k/,
  );
  t.equal(await machine.must('ls /backups'), '');
  await machine.must(provision('alder', '64M'));
  await machine.must(provision('birch', '1G'));
  t.match(await accountNamed(machine, 'alder'), {
    backend: 'xfs-quota',
    limitBytes: 64 * MEBIBYTE,
    states: ['ok'],
  });
  t.equal((await limitsOf(machine)).size, 2);

  await t.test('a second call changes nothing', async (t) => {
    const before = await limitsOf(machine);
    for (const command of [provision('alder', '64M'), 'bakker-storage provision birch'])
      t.match(JSON.parse(await machine.must(`${command} --json`)), { changed: false });
    t.same(await limitsOf(machine), before);
  });

  await t.test('what is full is full for one server alone, and keeps its past', async (t) => {
    await machine.must('mkdir -p /srv/data && cp -r /usr/share/doc /srv/data/');
    for (const name of ['alder', 'birch']) await machine.must(enrolment(name, '/srv/data'));
    const first = await backUp(machine, 'alder');
    t.equal(first.status, 0, first.stderr);
    const past = await pastOf(machine, 'alder');

    await machine.must('head -c 100M /dev/urandom >/srv/data/too-large');
    const full = await backUp(machine, 'alder');
    t.equal(full.status, 13, full.stderr);
    t.equal(
      await pastOf(machine, 'alder'),
      past,
      'not a byte or attribute of the run that was there has changed',
    );
    t.match(await accountNamed(machine, 'alder'), { runs: 1 });
    const beside = await backUp(machine, 'birch');
    t.equal(beside.status, 0, beside.stderr);
    t.match(await accountNamed(machine, 'birch'), { runs: 1, states: ['ok'] });

    const asked = await machine.run(asAccount('alder', 'head -c 200M /dev/zero >/backups/alder/filling'));
    t.match(
      asked,
      { status: 1, stderr: /No space left|quota exceeded/ },
      'the kernel refuses, not bakker alone',
    );
    await machine.must('rm -f /backups/alder/filling');

    await machine.must('bakker-storage grow alder 300M');
    const grown = await backUp(machine, 'alder');
    t.equal(grown.status, 0, grown.stderr);
    t.match(await accountNamed(machine, 'alder'), { runs: 2, incomplete: 0, limitBytes: 300 * MEBIBYTE });
    await machine.must('cmp /srv/data/too-large /backups/alder/latest/srv/data/too-large');
    t.equal(await pastOf(machine, 'alder'), past);
    t.equal(
      (await machine.run('bakker-storage grow alder 200M')).status,
      2,
      'and a limit never shrinks by it',
    );
  });

  await t.test('what its server asks for up to the ceiling, a timer gives', async (t) => {
    const limit = async (): Promise<number> => (await accountNamed(machine, 'alder')).limitBytes / MEBIBYTE;
    await machine.must('bakker-storage quota alder --ceiling 350M');
    await machine.must(`${bakkerOf('alder')} status --request-space 340M`);
    await machine.must('bakker-storage grow --requested');
    t.equal(await limit(), 340);
    await machine.must(`${bakkerOf('alder')} status --request-space 500M`);
    await machine.must('bakker-storage grow --requested');
    t.equal(await limit(), 340, 'more is for an administrator to give');
    t.same((await accountNamed(machine, 'alder')).states, ['space requested']);
  });

  await t.test('a removed run gives its space back to the account', async (t) => {
    const before = await accountNamed(machine, 'alder');
    const latest = (await machine.must('readlink /backups/alder/latest')).trim();
    await machine.must('rm /srv/data/too-large');
    t.equal((await backUp(machine, 'alder')).status, 0);
    await machine.must(`bakker-storage remove alder ${latest}`);
    await machine.must('bakker-storage retention --account alder --empty-trash');
    const after = await accountNamed(machine, 'alder');
    t.ok(
      after.freeBytes > before.freeBytes + 90 * MEBIBYTE,
      `${before.freeBytes} bytes free, then ${after.freeBytes}`,
    );
  });

  await t.test('limits outlive a start, and an account takes its own with it', async (t) => {
    const before = await limitsOf(machine);
    await machine.reboot();
    t.same(await limitsOf(machine), before);
    t.match(await accountNamed(machine, 'alder'), {
      limitBytes: 340 * MEBIBYTE,
      states: ['space requested'],
    });

    await machine.must('bakker-storage deprovision alder');
    t.same((await accountNamed(machine, 'alder')).states, ['closed', 'space requested']);
    const again = await machine.must('bakker-storage provision alder --json');
    t.match(JSON.parse(again), { changed: true }, 'opened again');
    t.same(await limitsOf(machine), before);

    await machine.must('bakker-storage deprovision alder --delete-data --yes');
    t.same([...(await limitsOf(machine)).values()], [1024 * 1024], 'only that of birch is left');
    t.equal((await machine.must('ls /backups')).trim(), 'birch');
    t.equal((await backUp(machine, 'birch')).status, 0);
  });
});

function backUp(machine: Machine, name: string): ReturnType<Machine['run']> {
  return machine.run(`${bakkerOf(name)} backup --force --quiet`);
}

/** In KiB, by project: hard limits as the kernel has them; of projects that have one. */
async function limitsOf(machine: Machine): Promise<Map<string, number>> {
  const report = await machine.must(`xfs_quota -x -c 'report -p -n -N' /backups`);
  return new Map(
    report
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .map(([project = '', , , hard = '0']): [string, number] => [project, Number(hard)])
      .filter(([, hard]) => hard > 0),
  );
}
