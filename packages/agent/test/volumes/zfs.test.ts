import t from 'tap';
import type { RunCommand } from '../../src/adapters/volumes/commands.ts';
import { destroyZfsSnapshot, zfsProvider } from '../../src/adapters/volumes/zfs.ts';
import type { Job } from '../../src/adapters/volumes/provider.ts';
import { source } from './world.ts';

/** There is no ZFS here: what is asked of it is recorded, and answered as its manual pages say. */
function recorded(snapshots: Set<string>): { command: RunCommand; lines: string[] } {
  const lines: string[] = [];
  const command: RunCommand = async (argv) => {
    lines.push(argv.join(' '));
    const last = argv.at(-1) ?? '';
    const isUnknown = last.includes('@') ? !snapshots.has(last) : !last.startsWith('tank');
    if (argv[1] === 'snapshot') for (const name of argv.slice(2)) snapshots.add(name);
    if (argv[1] === 'destroy') snapshots.delete(last);
    const isFailing = argv[1] === 'list' && isUnknown;
    return { status: isFailing ? 1 : 0, stdout: Buffer.from(`${last}\n`), stderr: '' };
  };
  return { command, lines };
}

function job(dataset: string, index: number): Job {
  const mountPoint = Buffer.from(`/${dataset}`);
  const primary = {
    mountPoint,
    type: 'zfs',
    major: 0,
    minor: index,
    filesystem: `0:${index}`,
    root: Buffer.from('/'),
    source: dataset,
    isPseudo: false,
    isNested: false,
  };
  const own = source(`/${dataset}`);
  return { volume: { primary, mounts: [primary], sources: [own] }, index };
}

t.test('the datasets of a pool are taken by one command, and only ours are destroyed', async (t) => {
  const snapshots = new Set(['tank/home@daily']);
  const { command, lines } = recorded(snapshots);
  const steps: unknown[] = [];
  const provider = zfsProvider(command);
  const jobs = [job('tank/home', 0), job('other/db', 1), job('tank/mail', 2)];
  t.match(await provider.look(job('tank/home', 0).volume), { fits: true, why: 'the ZFS dataset tank/home' });
  t.match(await provider.look(job('gone/x', 0).volume), { fits: false });
  lines.length = 0;
  const taken = await provider.take(jobs, {
    name: 'bakker-1f',
    record: (step) => steps.push(step),
    busyFile: '/nowhere',
    busyFd: 0,
    signal: new AbortController().signal,
  });
  t.strictSame(lines, [
    'zfs snapshot tank/home@bakker-1f tank/mail@bakker-1f',
    'zfs snapshot other/db@bakker-1f',
  ]);
  t.match(steps, [
    { kind: 'destroy-zfs-snapshot', name: 'tank/home@bakker-1f' },
    { name: 'tank/mail@bakker-1f' },
    { name: 'other/db@bakker-1f' },
  ]);
  lines.length = 0;
  await taken[0]?.mount(Buffer.from('/run/bakker/view-1f/volumes/0'));
  t.strictSame(lines, [
    'mount -t zfs -o ro,nodev,nosuid,noexec tank/home@bakker-1f /run/bakker/view-1f/volumes/0',
  ]);
  await taken[0]?.check();

  await destroyZfsSnapshot('tank/home@bakker-1f', command);
  t.ok(lines.includes('zfs destroy tank/home@bakker-1f'));
  lines.length = 0;
  await destroyZfsSnapshot('tank/home@bakker-1f', command);
  t.notOk(
    lines.some((line) => line.startsWith('zfs destroy')),
    'what is gone is not destroyed again',
  );
  await t.rejects(destroyZfsSnapshot('tank/home@daily', command), /no snapshot of bakker's/);
  await t.rejects(destroyZfsSnapshot('absent/x@bakker-1f', command), { code: 'SNAPSHOT_FAILED' });
  t.ok(snapshots.has('tank/home@daily'));
  await t.rejects(taken[0]?.check() ?? Promise.resolve(), /is gone: somebody destroyed it/);
});
