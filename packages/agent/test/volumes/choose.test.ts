import t from 'tap';
import type { SnapshotSettings } from '../../src/config/snapshot-settings.ts';
import { chooseProvider, providersToAsk } from '../../src/volumes/choose-provider.ts';
import { planMounts, type VolumeMount } from '../../src/volumes/mounted-volumes.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const asked = (...providers: SnapshotSettings['provider'][]): SnapshotSettings[] =>
  providers.map((provider) => ({ provider, lvmSize: { share: 0.1 } }));

t.test('the best provider that fits is taken; what was passed over is told', (t) => {
  const findings = [
    { provider: 'lvm', fits: false, why: 'LVM is not installed' },
    { provider: 'reflink', fits: true, why: 'xfs can share blocks' },
  ] as const;
  t.match(chooseProvider(asked('auto'), findings), { provider: 'reflink', why: 'xfs can share blocks' });
  t.match(chooseProvider(asked('auto', 'none'), findings), { provider: 'none' }, 'the explicit one wins');
  t.match(chooseProvider(asked('auto'), findings.slice(0, 1)), {
    provider: 'none',
    why: 'read live: LVM is not installed',
    problem: undefined,
  });
  t.match(chooseProvider(asked('lvm'), findings).problem?.message, /"snapshot: lvm" is not possible/);
  t.match(chooseProvider(asked('lvm', 'none'), findings).problem?.message, /different snapshots: lvm, none/);
  t.notOk(providersToAsk(asked('auto')).includes('mirror'), 'space is never doubled unasked');
  t.strictSame(providersToAsk(asked('auto', 'mirror')), ['mirror']);
  t.end();
});

const mount = (mountPoint: string, more: Partial<VolumeMount> = {}): VolumeMount => ({
  mountPoint: bytes(mountPoint),
  type: 'ext4',
  major: 253,
  minor: mountPoint.length,
  filesystem: `253:${more.minor ?? mountPoint.length}`,
  root: bytes('/'),
  source: '/dev/x',
  isPseudo: false,
  isNested: false,
  ...more,
});
const reads = (path: string, oneFilesystem = true) => ({ path: bytes(path), oneFilesystem });
const shown = (mounts: readonly VolumeMount[]) =>
  mounts.map(({ mountPoint }) => mountPoint.toString('latin1'));

t.test('what a source is on, and what it reaches into, holds it', (t) => {
  const mounts = [
    mount('/'),
    mount('/proc', { type: 'proc', isPseudo: true }),
    mount('/srv/\xff'),
    mount('/srv/data'),
    mount('/srv/data/deep'),
    mount('/srv/database'),
  ];
  const plan = (...sources: ReturnType<typeof reads>[]) => {
    const { volumes, others } = planMounts(mounts, sources);
    return [shown(volumes.map(({ primary }) => primary)), shown(others)];
  };
  t.strictSame(plan(reads('/srv/data/a')), [['/srv/data'], ['/']]);
  t.strictSame(plan(reads('/srv/data')), [['/srv/data'], ['/', '/srv/data/deep']]);
  t.strictSame(plan(reads('/srv/data', false)), [['/srv/data', '/srv/data/deep'], ['/']]);
  t.strictSame(plan(reads('/', false)), [
    ['/', '/srv/\xff', '/srv/data', '/srv/database', '/srv/data/deep'],
    ['/proc'],
  ]);
  t.strictSame(plan(reads('/srv/databases')), [['/'], []], 'a longer name is another folder');
  t.end();
});

t.test('of mounts on one place the last counts, and it hides what was below', (t) => {
  const mounts = [mount('/'), mount('/srv', { minor: 1 }), mount('/srv/a'), mount('/srv', { minor: 2 })];
  const { volumes } = planMounts(mounts, [reads('/srv/a')]);
  t.strictSame(
    volumes.map(({ primary }) => primary.minor),
    [2],
  );
  t.end();
});

t.test('places that show one file system are one volume, subvolumes are not', (t) => {
  const same = { minor: 7 };
  const ext4 = [mount('/'), mount('/srv', same), mount('/home', { ...same, root: bytes('/home') })];
  t.strictSame(
    planMounts(ext4, [reads('/home/x'), reads('/srv/x')]).volumes.map(({ mounts }) => shown(mounts)),
    [['/srv', '/home']],
  );
  const btrfs = { ...same, type: 'btrfs' };
  const subvolumes = [
    mount('/', { ...btrfs, root: bytes('/@') }),
    mount('/home', { ...btrfs, filesystem: '0:41', root: bytes('/@/home') }),
  ];
  t.equal(planMounts(subvolumes, [reads('/home/x'), reads('/etc')]).volumes.length, 2);
  t.end();
});
