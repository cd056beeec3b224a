import t from 'tap';
import {
  formatBytes,
  formatCount,
  formatSpace,
  formatCounted,
  formatDate,
  formatDuration,
} from '../src/format.ts';

t.test('sizes', (t) => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1234, '1.2 kB'],
    [99_949, '99.9 kB'],
    [99_951, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.0 MB'],
    [3_400_000_000, '3.4 GB'],
    [1e15, '1.0 PB'],
    [5e18, '5000 PB'],
  ];
  for (const [bytes, shown] of sizes) t.equal(formatBytes(bytes), shown);
  t.end();
});

t.test('space', (t) => {
  const sizes: readonly (readonly [number, string])[] = [
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [20 * 2 ** 30, '20.0 GiB'],
    [1.5 * 2 ** 40, '1.5 TiB'],
    [2 ** 40 - 1, '1.0 TiB'],
  ];
  for (const [bytes, shown] of sizes) t.equal(formatSpace(bytes), shown);
  t.end();
});

t.test('counts', (t) => {
  t.equal(formatCount(0), '0');
  t.equal(formatCount(999), '999');
  t.equal(formatCount(1_234_567), '1,234,567');
  t.equal(formatCounted(1, 'file'), '1 file');
  t.equal(formatCounted(12_345, 'file'), '12,345 files');
  t.equal(formatCounted(2, 'directory', 'directories'), '2 directories');
  t.end();
});

t.test('durations', (t) => {
  const durations: readonly (readonly [number, string])[] = [
    [-5, 'less than 1 s'],
    [400, 'less than 1 s'],
    [1000, '1 s'],
    [59_600, '1 min'],
    [125_000, '2 min 5 s'],
    [3_600_000, '1 h'],
    [4_800_000, '1 h 20 min'],
    [86_400_000 * 3 + 4 * 3_600_000 + 59_000, '3 d 4 h'],
  ];
  for (const [ms, shown] of durations) t.equal(formatDuration(ms), shown);
  t.end();
});

t.test('dates', (t) => {
  t.equal(formatDate(Date.UTC(2024, 3, 19, 3, 12, 59)), '2024-04-19 03:12 UTC');
  t.equal(formatDate(NaN), 'unknown');
  t.equal(formatDate(1e300), 'unknown');
  t.end();
});
