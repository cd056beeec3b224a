import fs from 'node:fs';
import t from 'tap';
import { openBusy, untilIdle } from '../../src/adapters/volumes/busy.ts';
import { removeLvmSnapshot } from '../../src/adapters/volumes/lvm.ts';
import { freeze } from '../../src/volumes/freeze.ts';
import {
  alwaysEnoughBytes,
  enoughBytes,
  parseLvmReport,
  snapshotSizeBytes,
  stateOf,
  whyNoSnapshot,
} from '../../src/volumes/lvm-report.ts';
import { openWorld, source } from './world.ts';
import { withFakeLvm } from './with-fake-lvm.ts';

const MIB = 2 ** 20;
const extents = { extentBytes: 4 * MIB };

t.test('lv_attr says whether a snapshot is whole', (t) => {
  const states = ['swi-a-s---', 'swi-aos---', 'swi-I-s---', 'Swi-S-s---', 'Vwi-aotz--', 'Vwi-aotzF-'];
  t.strictSame(
    states.map((attributes) => stateOf({ attributes })),
    ['good', 'good', 'invalid', 'invalid', 'good', 'failed'],
  );
  t.strictSame(
    ['twi-aotzD-', 'twi-aotzM-', 'swi---s---', 'swi-s-s---'].map((attributes) => stateOf({ attributes })),
    ['failed', 'failed', 'inactive', 'suspended'],
  );
  t.match(whyNoSnapshot({ attributes: 'swi-a-s---' }), /a snapshot itself/);
  t.match(whyNoSnapshot({ attributes: 'Owi-aos---' }), /being merged/);
  for (const attributes of ['-wi-ao----', 'owi-aos---', 'Vwi-aotz--', 'rwi-aor---'])
    t.equal(whyNoSnapshot({ attributes }), undefined);
  t.end();
});

t.test('a snapshot has whole extents, and never more than can be filled', (t) => {
  const origin = { ...extents, sizeBytes: 1000 * MIB };
  t.equal(snapshotSizeBytes({ share: 0.1 }, origin), 100 * MIB);
  t.equal(snapshotSizeBytes({ share: 0.101 }, origin), 104 * MIB);
  t.equal(snapshotSizeBytes({ sizeBytes: 1 }, origin), 16 * MIB, 'a journal is replayed into it');
  t.equal(snapshotSizeBytes({ sizeBytes: 10_000 * MIB }, origin), alwaysEnoughBytes(origin));
  t.ok(alwaysEnoughBytes(origin) >= origin.sizeBytes * (257 / 256));
  t.equal(enoughBytes(origin, { sizeBytes: 16 * MIB, writtenBytes: 100 * MIB }), 128 * MIB);
  t.equal(enoughBytes(origin, { sizeBytes: 400 * MIB, writtenBytes: 0 }), 800 * MIB);
  t.equal(enoughBytes(origin, { sizeBytes: 16 * MIB, writtenBytes: 9e12 }), alwaysEnoughBytes(origin));
  t.end();
});

t.test('a report that is none is no empty one', (t) => {
  for (const text of ['', '{}', '{"report": [{}]}', '{"report": [{"lv": [{"vg_name": "a"}]}]}', 'lvs: x'])
    t.equal(parseLvmReport(text), undefined, text);
  t.strictSame(parseLvmReport('{"report": [{"lv": []}]}'), []);
  t.end();
});

await t.test('a snapshot that runs full is told with the size that would have been enough', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 48 * MIB });
  await using world = await openWorld(lvm);
  fs.writeFileSync(`${lvm.folder}/file`, 'x');
  const plan = await world.volumes.plan([source(lvm.folder, { lvmSize: { sizeBytes: 16 * MIB } })]);
  await using view = await freeze(world.volumes, plan, {
    journal: world.journal,
    signal: new AbortController().signal,
  });
  await view.check();
  lvm.change(({ volumes }) => ({
    volumes: volumes.map((volume) =>
      volume.origin === '' ? volume : { ...volume, attributes: 'swi-I-s---', dataPercent: '100.00' },
    ),
  }));
  await t.rejects(view.check(), {
    code: 'SNAPSHOT_FAILED',
    exitStatus: 14,
    message: /overflowed: it had 16 MiB, and .* written .* meanwhile; 32 MiB would have been enough/,
    hint: /set "lvm-size" to 32M or more \(52M can't overflow\)/,
  });
});

await t.test(
  'the source that wants most says how large the snapshot is, whichever comes first',
  async (t) => {
    await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 48 * MIB });
    await using world = await openWorld(lvm);
    const wanted = [16, 32, 20].map((mebibytes) => {
      const folder = `${lvm.folder}/${mebibytes}`;
      fs.mkdirSync(folder);
      return source(folder, { lvmSize: { sizeBytes: mebibytes * MIB } });
    });
    await using _view = await freeze(world.volumes, await world.volumes.plan(wanted), {
      journal: world.journal,
      signal: new AbortController().signal,
    });
    t.equal(lvm.group().volumes.find(({ origin }) => origin !== '')?.sizeBytes, 32 * MIB);
    lvm.change(() => ({ freeBytes: 24 * MIB }));
    const plan = await world.volumes.plan(wanted);
    t.match(plan.volumes[0]?.problem?.message, /has 24 MiB left, but the snapshot of vg0\/data needs 32 MiB/);
  },
);

await t.test('a cached volume is thick, though it has a pool', async (t) => {
  for (const attributes of ['Cwi-aoC---', 'owi-aoC---']) {
    await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 24 * MIB });
    await using world = await openWorld(lvm);
    const cached = { attributes, pool: '[cache_cpool]' };
    lvm.change(({ volumes }) => ({ volumes: volumes.map((volume) => ({ ...volume, ...cached })) }));
    const plan = await world.volumes.plan([source(lvm.folder, { lvmSize: { sizeBytes: 16 * MIB } })]);
    t.match(plan.volumes, [{ provider: 'lvm', why: 'a logical volume, vg0/data', problem: undefined }]);
    await using view = await freeze(world.volumes, plan, {
      journal: world.journal,
      signal: new AbortController().signal,
    });
    t.equal(lvm.group().volumes.find(({ origin }) => origin !== '')?.sizeBytes, 16 * MIB);
    await view.check();
  }
});

await t.test('a snapshot that somebody removed, and a full pool, are told', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', isThin: true, sizeBytes: 24 * MIB });
  await using world = await openWorld(lvm);
  fs.writeFileSync(`${lvm.folder}/file`, 'x');
  const plan = await world.volumes.plan([source(lvm.folder)]);
  {
    await using view = await freeze(world.volumes, plan, {
      journal: world.journal,
      signal: new AbortController().signal,
    });
    const before = lvm.group().volumes;
    const fill = (name: string, dataPercent: string): void =>
      lvm.change(() => ({
        volumes: before.map((volume) => (volume.name === name ? { ...volume, dataPercent } : volume)),
      }));
    fill('pool', '100.00');
    await t.rejects(view.check(), { code: 'SNAPSHOT_FAILED', message: /thin pool vg0\/pool, which is full/ });
    lvm.change(() => ({ volumes: before.filter(({ origin }) => origin === '') }));
    await t.rejects(view.check(), { code: 'SNAPSHOT_FAILED', message: /is gone: somebody removed it/ });
    lvm.change(() => ({ volumes: before }));
  }
  lvm.change(({ volumes }) => ({
    volumes: volumes.map((volume) => (volume.name === 'pool' ? { ...volume, dataPercent: '96.00' } : volume)),
  }));
  const full = await world.volumes.plan([source(lvm.folder)]);
  t.match(full.volumes[0]?.problem?.message, /the thin pool vg0\/pool is 96 % full/);
});

await t.test(
  'a volume that was not made a snapshot yet is removed; one that is not ours stays',
  async (t) => {
    await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 24 * MIB });
    const make = async (name: string, tag: string): Promise<void> => {
      const argv = [
        'lvcreate',
        '--snapshot',
        '--name',
        name,
        '--addtag',
        tag,
        '--size',
        `${4 * MIB}b`,
        'vg0/data',
      ];
      t.equal((await lvm.command(argv)).status, 0);
      lvm.change(({ volumes }) => ({
        volumes: volumes.map((volume) =>
          volume.name === name
            ? { ...volume, origin: '', attributes: '-wi-a-----', dataPercent: '' }
            : volume,
        ),
      }));
    };
    const names = (): string[] => lvm.group().volumes.map(({ name }) => name);
    await make('bakker-1234-0', 'bakker');
    await removeLvmSnapshot({ group: 'vg0', name: 'bakker-1234-0', origin: 'data' }, lvm.command);
    t.strictSame(names(), ['data']);
    await make('bakker-5678-0', 'somebody');
    await t.rejects(removeLvmSnapshot({ group: 'vg0', name: 'bakker-5678-0', origin: 'data' }, lvm.command), {
      code: 'SNAPSHOT_FAILED',
      message: /it stays/,
    });
    t.strictSame(names(), ['data', 'bakker-5678-0']);
  },
);

await t.test('a group without room refuses before anything is made', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 48 * MIB });
  await using world = await openWorld(lvm);
  lvm.change(() => ({ freeBytes: 20 * MIB }));
  const plan = await world.volumes.plan([source(lvm.folder, { lvmSize: { share: 0.5 } })]);
  t.match(
    plan.volumes[0]?.problem?.message,
    /vg0 has 20 MiB left, but the snapshot of vg0\/data needs 24 MiB/,
  );
  await t.rejects(
    freeze(world.volumes, plan, { journal: world.journal, signal: new AbortController().signal }),
    {
      code: 'SNAPSHOT_FAILED',
      hint: /lvm-size/,
    },
  );
  lvm.change(() => ({ freeBytes: 100 * MIB }));
  const fits = await world.volumes.plan([source(lvm.folder)]);
  lvm.change(() => ({ freeBytes: 0 }));
  await t.rejects(
    freeze(world.volumes, fits, { journal: world.journal, signal: new AbortController().signal }),
    { code: 'SNAPSHOT_FAILED', message: /needs 24 MiB/ },
    'room is looked at again',
  );
  t.strictSame(lvm.snapshots(), []);
  t.strictSame(world.journal.pending(), []);
});

await t.test('lvcreate keeps the lock that tells that it is still at work', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 48 * MIB });
  lvm.change(() => ({ slowMs: 500 }));
  const busyFile = `${lvm.folder}/busy`;
  const busyFd = openBusy(busyFile);
  const words = ['--addtag', 'bakker', '--name', 'late', '--size', `${16 * MIB}b`, 'vg0/data'];
  const outliving = lvm.command(['lvcreate', ...words], { busyFd });
  fs.closeSync(busyFd);
  await untilIdle(busyFile, AbortSignal.timeout(10_000));
  t.strictSame(lvm.snapshots(), ['late']);
  t.equal((await outliving).status, 0);
});
