import { spawnSync } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { activationUnit } from '../../src/provision/activation.ts';
import { linuxSystem } from '../../src/adapters/system/linux-system.ts';
import type { MountFacts, System } from '../../src/ports/system.ts';
import { parseAccountName } from '../../src/provision/account-name.ts';
import { renderRecord } from '../../src/provision/account-record.ts';
import type { AccountRecord } from '../../src/provision/account-record.ts';
import { growRequested } from '../../src/provision/grow.ts';
import { lvmSpace } from '../../src/provision/lvm-space.ts';
import { readPlaces } from '../../src/provision/places.ts';
import { runSteps } from '../../src/provision/steps.ts';

const NAME = parseAccountName('daemon');
const GIB = 2 ** 30;

/**
 * Programs that note their words and keep the state of one volume in files, in the place of LVM, mkfs and mount: this kernel has
 * no device mapper. What the words do to a real volume is shown in the virtual machine.
 */
async function standIns({ fault, hasSystemd = false }: { fault?: string; hasSystemd?: boolean } = {}) {
  const folder = await mkdtemp('/var/lib/bakker-lvm-');
  await chmod(folder, 0o755);
  const bin = join(folder, 'bin');
  const state = join(folder, 'state');
  const rootDir = join(folder, 'backups');
  const etc = join(folder, 'etc');
  for (const path of [bin, state, rootDir, etc, join(folder, 'units')]) await mkdir(path);
  await writeFile(join(etc, 'storage.yaml'), `fstab: ${folder}/fstab\n`);
  await writeFile(join(folder, 'fstab'), '# mine\n');
  const note = `printf '%s\\n' "\${0##*/} $*" >> ${folder}/log\n`;
  const failing = (name: string) => (fault === name ? 'echo injected >&2; exit 5\n' : '');
  const programs: Record<string, string> = {
    vgs: `echo "${20 * GIB}|4194304"`,
    lvs: `[ -e ${state}/size ] || exit 5; echo "$(cat ${state}/size)|$(cat ${state}/tags)"`,
    lvcreate: `${note}${failing('lvcreate')}while [ $# -gt 0 ]; do [ "$1" = --size ] && echo "\${2%b}" > ${state}/size; [ "$1" = --addtag ] && echo "$2" > ${state}/tags; shift; done`,
    lvchange: `${note}${failing('lvchange')}echo bakker > ${state}/tags`,
    lvextend: `${note}echo "\${2%b}" > ${state}/size`,
    lvremove: `${note}rm -f ${state}/size ${state}/tags`,
    'mkfs.xfs': `${note}${failing('mkfs.xfs')}cp ${state}/size ${state}/fs-size`,
    'mkfs.ext4': `${note}:`,
    xfs_growfs: `${note}cp ${state}/size ${state}/fs-size`,
    resize2fs: `${note}:`,
    mount: `${note}${failing('mount')}touch ${state}/mounted; ! [ -e ${state}/kept ] || touch ${rootDir}/${NAME}/2024_04_18_01`,
    umount: `${note}rm -f ${state}/mounted ${rootDir}/${NAME}/2024_04_18_01`,
    systemctl: `case $1 in is-enabled) [ -e ${state}/enabled ]; exit ;; esac
${note}case $1 in enable) touch ${state}/enabled ;; disable) rm -f ${state}/enabled ;; esac`,
  };
  for (const [name, text] of Object.entries(programs))
    await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const real = linuxSystem({ searchFirst: bin });
  const ofUnits = (path: string): string => path.replace(/^\/etc\/systemd\/system/, `${folder}/units`);
  const system: System = {
    ...real,
    inspect: (path) => real.inspect(path === '/run/systemd/system' && hasSystemd ? folder : path),
    readText: (path) => real.readText(ofUnits(path)),
    writeText: (path, ...how) => real.writeText(ofUnits(path), ...how),
    space: async () => {
      const totalBytes = Number(await readFile(join(state, 'fs-size'), 'utf8'));
      return { totalBytes, freeBytes: totalBytes, freeInodes: 1_000_000 };
    },
    mounts: async (): Promise<MountFacts[]> =>
      (await real.inspect(join(state, 'mounted'))) === undefined
        ? []
        : [{ mountPoint: `${rootDir}/${NAME}`, type: 'xfs', source: '/dev/mapper/x', options: [] }],
  };
  const places = await readPlaces(system, etc);
  const record: AccountRecord = {
    name: NAME,
    rootDir,
    backend: { kind: 'lvm', vg: 'vg0', fs: 'xfs' },
    state: 'ready',
    keys: [],
    grants: [],
    ceilingBytes: undefined,
  };
  return {
    folder,
    state,
    /** For commands on accounts; this one's record is there. */
    tools: async () => {
      await mkdir(join(etc, 'accounts'));
      await writeFile(
        join(etc, 'accounts', `${NAME}.yaml`),
        renderRecord({ ...record, ceilingBytes: 20 * GIB }),
      );
      return { registry: { system, places }, signal: options.signal, note: options.note };
    },
    /** As the account's session notes what its server asks for. */
    wish: async (requestedBytes: number) => {
      await mkdir(join(rootDir, NAME, '.bakker'), { recursive: true });
      await writeFile(join(rootDir, NAME, '.bakker/space-request.json'), JSON.stringify({ requestedBytes }));
    },
    units: () => readdir(join(folder, 'units')),
    fstab: () => readFile(join(folder, 'fstab'), 'utf8'),
    log: async () =>
      (await readFile(join(folder, 'log'), 'utf8').catch(() => '')).trim().split('\n').filter(Boolean),
    space: (fs: 'xfs' | 'ext4' = 'xfs') =>
      lvmSpace(
        { system, places, record: { ...record, backend: { kind: 'lvm', vg: 'vg0', fs } } },
        { kind: 'lvm', vg: 'vg0', fs },
      ),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

const options = { isDryRun: false, signal: new AbortController().signal, note: () => undefined };

t.test(
  'a volume is made, formatted, noted, mounted and given away, and a second call does nothing',
  async (t) => {
    await using world = await standIns();
    await runSteps(world.space().provisionSteps(10 * GIB), options);
    t.same(await world.log(), [
      'lvcreate --yes --wipesignatures y --addtag bakker-new --size 10737418240b --name bakker-daemon vg0',
      'mkfs.xfs -q -f -m reflink=1 /dev/vg0/bakker-daemon',
      'lvchange --deltag bakker-new --addtag bakker vg0/bakker-daemon',
      `mount ${world.folder}/backups/daemon`,
    ]);
    t.equal(
      await world.fstab(),
      `# mine\n/dev/vg0/bakker-daemon ${world.folder}/backups/daemon xfs defaults,noatime,nodev,nosuid,noexec,nofail 0 0\n`,
    );
    const again = await runSteps(world.space().provisionSteps(10 * GIB), options);
    t.same(
      again.filter(({ result }) => result !== 'already'),
      [],
    );
    t.equal((await world.log()).length, 4);
  },
);

t.test('systemd activates the group at each start, as long as an account has a volume in it', async (t) => {
  await using world = await standIns({ hasSystemd: true });
  await runSteps(world.space().provisionSteps(10 * GIB), options);
  const log = await world.log();
  t.same(log.slice(-3), [
    'systemctl enable --quiet bakker-volumes@vg0.service',
    'systemctl daemon-reload',
    `mount ${world.folder}/backups/daemon`,
  ]);
  t.same(await world.units(), ['bakker-volumes@.service']);
  const again = await runSteps(world.space().provisionSteps(10 * GIB), options);
  t.ok(again.every(({ result }) => result === 'already'));

  await runSteps(world.space().removalSteps(), options);
  const removed = (await world.log()).slice(log.length);
  t.same(removed, [
    `umount ${world.folder}/backups/daemon`,
    'systemctl daemon-reload',
    'lvremove --yes vg0/bakker-daemon',
    'systemctl disable --quiet bakker-volumes@vg0.service',
  ]);
});

t.test('systemd takes the unit as it is written', async (t) => {
  await using world = await standIns({ hasSystemd: true });
  await runSteps(world.space().provisionSteps(10 * GIB), options);
  const unit = join(world.folder, 'units', activationUnit('vg0'));
  await copyFile(join(world.folder, 'units', 'bakker-volumes@.service'), unit);
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
  t.same({ status, stderr }, { status: 0, stderr: '' });
});

t.test('a unit says the name of each group that LVM takes', (t) => {
  t.equal(activationUnit('vg0'), 'bakker-volumes@vg0.service');
  for (const vg of ['data-1', 'a+b', '.x', 'a_b.c']) {
    const { stdout } = spawnSync('systemd-escape', ['--template=bakker-volumes@.service', vg], {
      encoding: 'utf8',
    });
    t.equal(`${activationUnit(vg)}\n`, stdout, vg);
  }
  t.end();
});

for (const fault of ['lvcreate', 'mkfs.xfs', 'lvchange', 'mount']) {
  t.test(`when ${fault} fails, no volume, line or folder is left`, async (t) => {
    await using world = await standIns({ fault });
    await t.rejects(runSteps(world.space().provisionSteps(10 * GIB), options), { message: /injected/ });
    t.equal(await world.fstab(), '# mine\n');
    t.equal(await world.space().space(), undefined);
    const log = await world.log();
    t.equal(
      log.some((line) => line.startsWith('lvremove')),
      fault !== 'lvcreate',
    );
    await t.rejects(readFile(join(world.state, 'size')));
    await t.rejects(readFile(`${world.folder}/backups/daemon`), { code: 'ENOENT' });
  });
}

t.test('a volume whose formatting was cut off is formatted; one that has data never is', async (t) => {
  await using world = await standIns();
  await writeFile(join(world.state, 'size'), `${10 * GIB}`);
  await writeFile(join(world.state, 'tags'), 'bakker-new');
  await runSteps(world.space().provisionSteps(10 * GIB), options);
  t.match((await world.log())[0], /^mkfs.xfs/);

  await using other = await standIns();
  await writeFile(join(other.state, 'size'), `${10 * GIB}`);
  await writeFile(join(other.state, 'tags'), '');
  await t.rejects(runSteps(other.space().provisionSteps(10 * GIB), options), { code: 'NAME_TAKEN' });
  t.same(await other.log(), []);
});

t.test(
  'a volume with the files of another user is unmounted again, and the hint says how to go on',
  async (t) => {
    await using world = await standIns();
    await writeFile(join(world.state, 'size'), `${10 * GIB}`);
    await writeFile(join(world.state, 'tags'), 'bakker');
    await writeFile(join(world.state, 'kept'), '');
    const folder = `${world.folder}/backups/daemon`;
    await t.rejects(runSteps(world.space().provisionSteps(undefined), options), {
      code: 'NAME_TAKEN',
      hint: new RegExp(`^mkdir -p ${folder}; mount /dev/vg0/bakker-daemon ${folder}; then run this again`),
    });
    t.same(await world.log(), [`mount ${folder}`, `umount ${folder}`]);
    t.equal(await world.fstab(), '# mine\n');
  },
);

t.test('files below the mount point are not hidden by a volume', async (t) => {
  await using world = await standIns();
  await mkdir(`${world.folder}/backups/daemon`);
  await writeFile(`${world.folder}/backups/daemon/precious`, 'x');
  await t.rejects(runSteps(world.space().provisionSteps(10 * GIB), options), { code: 'NAME_TAKEN' });
  t.equal(await readFile(`${world.folder}/backups/daemon/precious`, 'utf8'), 'x');
  t.equal(await world.fstab(), '# mine\n');
});

t.test(
  'growing enlarges the volume, then the file system; cut off between them, the second call goes on',
  async (t) => {
    for (const [fs, grown] of [
      ['xfs', 'xfs_growfs'],
      ['ext4', 'resize2fs'],
    ] as const) {
      await using world = await standIns();
      await runSteps(world.space(fs).provisionSteps(10 * GIB), options);
      const before = (await world.log()).length;
      await runSteps(world.space(fs).growSteps(15 * GIB), options);
      await runSteps(world.space(fs).growSteps(15 * GIB), options);
      const words = (await world.log()).slice(before).map((line) => line.split(' ')[0]);
      t.same(words, ['lvextend', grown, grown]);
      await t.rejects(runSteps(world.space(fs).growSteps(90 * GIB), options), { code: 'FULL' });
    }
  },
);

t.test('a timer gives what a server asks for, and completes what was cut off', async (t) => {
  await using world = await standIns();
  await runSteps(world.space().provisionSteps(10 * GIB), options);
  const tools = await world.tools();
  const give = async (): Promise<(number | string)[]> => {
    const before = (await world.log()).length;
    const grown = await growRequested(false, tools);
    const words = (await world.log()).slice(before).map((line) => line.split(' ')[0] ?? '');
    return [...grown.map(({ sizeBytes }) => sizeBytes / GIB), ...words];
  };
  t.same(await give(), [], 'nothing was asked for');
  await world.wish(15 * GIB);
  t.same(await give(), [15, 'lvextend', 'xfs_growfs']);
  t.same(await give(), ['xfs_growfs'], 'which changes nothing, and is not told');
  await world.wish(21 * GIB);
  t.same(await give(), [], 'more than the ceiling is for an administrator');

  await world.wish(18 * GIB);
  await writeFile(`${world.state}/size`, String(18 * GIB));
  t.same(await give(), [18, 'xfs_growfs'], 'the volume was enlarged, its file system was not');
});

t.test('what does not fit is refused before anything is made', async (t) => {
  await using world = await standIns();
  await t.rejects(runSteps(world.space().provisionSteps(21 * GIB), options), { code: 'FULL' });
  t.throws(() => world.space().provisionSteps(2 ** 20), { code: 'USAGE' });
  await t.rejects(runSteps(world.space().provisionSteps(undefined), options), { code: 'USAGE' });
  t.same(await world.log(), []);
  t.equal(await world.space().rounded(GIB + 1), GIB + 4 * 2 ** 20);
});

t.test('removing unmounts, forgets the line and deletes the volume', async (t) => {
  await using world = await standIns();
  await runSteps(world.space().provisionSteps(10 * GIB), options);
  await runSteps(world.space().removalSteps(), options);
  t.same((await world.log()).slice(-2), [
    `umount ${world.folder}/backups/daemon`,
    'lvremove --yes vg0/bakker-daemon',
  ]);
  t.equal(await world.fstab(), '# mine\n');
});
