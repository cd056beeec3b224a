import t from 'tap';
import type { BackupReport } from '../../src/backup/report.ts';
import { backup, summarise } from '../../src/cli/backup.ts';

const REPORT: BackupReport = {
  run: '2024_04_19_01',
  status: 'complete',
  parent: '2024_04_18_01',
  files: {
    total: 12_345,
    new: 12,
    changed: 3,
    metadata: 0,
    moved: 1,
    unchanged: 12_329,
    gone: 0,
    unreadable: 0,
  },
  bytes: { source: 3_400_000_000, sent: 4_200_000, stored: 4_200_000 },
  seconds: 3.2,
  warnings: [],
};

t.test('the closing words of a run', (t) => {
  t.equal(
    summarise(REPORT, false),
    'Run 2024_04_19_01 is complete: 12,345 files (3.4 GB); 12 new, 3 changed, 1 moved, 12,329 unchanged. Sent 4.2 MB in 3 s.',
  );
  t.match(summarise({ ...REPORT, run: null }, true), /^A run would hold 12,345 files .* nothing was sent\.$/);
  t.match(summarise({ ...REPORT, run: null, status: 'skipped' }, false), /^Nothing to do: .*--force/);
  const partial = { ...REPORT, status: 'partial' as const, files: { ...REPORT.files, unreadable: 2 } };
  t.match(
    summarise(partial, false),
    /^Run 2024_04_19_01 is published without 2 files that could not be read: /,
  );
  t.end();
});

t.test('only a partial run ends with status 3', (t) => {
  const statusOf = (status: BackupReport['status']): number | undefined =>
    backup.exitStatus?.({ report: { ...REPORT, status }, isDryRun: false });
  t.strictSame([statusOf('complete'), statusOf('skipped'), statusOf('partial')], [0, 0, 3]);
  t.end();
});
