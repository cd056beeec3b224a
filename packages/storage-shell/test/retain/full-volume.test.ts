import t from 'tap';
import { parseRunName } from '@bakker/impl-format';
import { writeSync, closeSync, openSync, statfsSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { retireRuns } from '../../src/retain/retire-runs.ts';
import { SampleAccount } from './sample-account.ts';

const NEVER = new AbortController().signal;
const NOW_MS = Date.UTC(2024, 5, 1);
const DAY_MS = 86_400_000;

for (const [type, sizeBytes] of [
  ['ext4', 48 << 20],
  ['xfs', 320 << 20],
] as const) {
  t.test(`on a full ${type}, retention makes room, exactly as much as was said`, async (t) => {
    await using volume = await mountLoopFilesystem({
      type,
      sizeBytes,
      ...(type === 'ext4' ? { mkfsArgs: ['-m', '0'] } : {}),
    });
    const account = new SampleAccount(volume.folder);
    account.policy('retention: {days: 1, instances: 1, months: 0, years: 0}\ntrash: {keep-hours: 24}\n');
    const big = Buffer.alloc(3_000_000, 7);
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`d${i % 7}/f${i}`, `content ${i}`]),
    );
    const runs = ['2024_01_01_01', '2024_02_01_01', '2024_05_31_01'];
    account.publish('2024_01_01_01', { files: { big, ...many }, receivedAtMs: NOW_MS - 150 * DAY_MS });
    account.publish('2024_02_01_01', {
      parent: '2024_01_01_01',
      files: { big: null, own: big },
      receivedAtMs: NOW_MS - 120 * DAY_MS,
    });
    account.publish('2024_05_31_01', { files: { big }, receivedAtMs: NOW_MS - DAY_MS / 2 });
    fill(join(volume.folder, 'filler'));
    t.throws(() => writeFileSync(join(volume.folder, 'one-more'), Buffer.alloc(100_000)), { code: 'ENOSPC' });
    execFileSync('rm', ['-f', join(volume.folder, 'one-more')]);
    using keeper = openKeeper(volume.folder, account.name);
    const old = runs
      .slice(0, 2)
      .map((run) => parseRunName(run))
      .filter((run) => run !== undefined);
    const { together, runs: each } = await keeper.measure(old, NEVER);
    t.ok(each.every(({ freed }) => freed.bytes > 0 && freed.bytes < together.bytes));
    const before = freeBytes(volume.folder);
    const outcome = await retireRuns(keeper, { nowMs: NOW_MS, dryRun: false, signal: NEVER });
    t.same(outcome.removed, old);
    t.same(outcome.deleted, old, 'a full volume does not wait for the trash');
    t.same(account.runs(), ['2024_05_31_01']);
    const freed = freeBytes(volume.folder) - before;
    // XFS gives back records of its own with the inodes.
    if (type === 'ext4') t.equal(freed, together.bytes);
    else t.ok(freed >= together.bytes, `${freed} of ${together.bytes}`);
  });
}

function fill(file: string): void {
  const fd = openSync(file, 'w');
  try {
    for (let sizeBytes = 1 << 20; sizeBytes >= 512;) {
      try {
        if (writeSync(fd, Buffer.alloc(sizeBytes, 1)) < sizeBytes) sizeBytes /= 2;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
        sizeBytes /= 2;
      }
    }
  } finally {
    closeSync(fd);
  }
}

function freeBytes(folder: string): number {
  execFileSync('sync', ['-f', folder]);
  const { bfree, bsize } = statfsSync(folder);
  return bfree * bsize;
}
