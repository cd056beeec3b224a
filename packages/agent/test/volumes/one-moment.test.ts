import t from 'tap';
import type { PlannedVolume, ProviderName } from '../../src/ports/volumes.ts';
import { notOfOneMoment } from '../../src/volumes/one-moment.ts';

/** A volume that is mounted at one place, all of which is a source. */
function volume(at: string, provider: ProviderName, moment?: string): PlannedVolume {
  const mountPoint = Buffer.from(at);
  return {
    mountPoint,
    mountPoints: [mountPoint],
    type: 'xfs',
    device: '/dev/x',
    provider,
    moment,
    why: 'so',
    sources: [mountPoint],
  };
}

const DB = [{ name: 'db', folders: ['/srv/db', '/log/db'] }];

t.test('a database whose files are all in one snapshot is well', async (t) => {
  t.strictSame(notOfOneMoment(DB, [volume('/', 'lvm', 'lvm 1'), volume('/home', 'reflink')]), []);
  const pool = [volume('/srv', 'zfs', 'zfs tank'), volume('/log', 'zfs', 'zfs tank')];
  t.strictSame(notOfOneMoment(DB, pool), [], 'datasets of a pool are frozen together');
});

t.test(
  'files that are copied, read live, or frozen one volume after the other may not fit each other',
  async (t) => {
    t.match(notOfOneMoment(DB, [volume('/', 'reflink')]), [
      /^db goes on writing to \/srv\/db, whose files are copied one after the other \(reflink\)/,
    ]);
    t.match(notOfOneMoment(DB, [volume('/srv', 'lvm', 'lvm 1'), volume('/log', 'none')]), [
      /^db goes on writing to \/log\/db, whose files are read live/,
    ]);
    t.match(notOfOneMoment(DB, [volume('/srv', 'lvm', 'lvm 1'), volume('/log', 'lvm', 'lvm 2')]), [
      /^db goes on writing to \/srv\/db and \/log\/db, which are frozen one after the other/,
    ]);
  },
);

t.test('folders that no run has are nobody’s loss', async (t) => {
  const elsewhere = { ...volume('/', 'reflink'), sources: [Buffer.from('/etc')] };
  t.strictSame(notOfOneMoment(DB, [elsewhere]), []);
  const around = { ...volume('/', 'reflink'), sources: [Buffer.from('/srv/db/base')] };
  t.equal(notOfOneMoment(DB, [around]).length, 1, 'a part of one is');
});
