import t from 'tap';
import { SourceCounts } from '../../src/backup/guards.ts';

type Passed = readonly [path: string, isNow: boolean, isBefore: boolean];

/** The source that is called empty, of entries in path order. */
function emptied(sources: readonly string[], entries: readonly Passed[]): string | undefined {
  const counts = new SourceCounts(sources.map((path) => Buffer.from(path)));
  for (const [path, isNow, isBefore] of entries) counts.count(Buffer.from(path), isNow, isBefore);
  try {
    counts.refuseEmptied('2024_04_18_01');
    return undefined;
  } catch (error) {
    return /^(\S+) is empty/.exec(String((error as Error).message))?.[1] ?? String(error);
  }
}

t.test('of sources in any order, within each other and alike, the one that is empty now is told', (t) => {
  const sources = ['/srv/www', '/etc', '/srv', '/srv/www/a', '/etc'];
  const whole: readonly Passed[] = [
    ['etc', true, true],
    ['etc/passwd', true, true],
    ['srv', true, true],
    ['srv/www', true, true],
    ['srv/www/a', true, true],
    ['srv/www/a/file', true, true],
  ];
  const without = (path: string) =>
    whole.map(([each, isNow, isBefore]): Passed => [each, isNow && each !== path, isBefore]);
  t.equal(emptied(sources, whole), undefined);
  t.equal(emptied(sources, without('etc/passwd')), '/etc');
  t.equal(emptied(sources, without('srv/www/a/file')), '/srv/www/a', 'those around it still hold a folder');
  t.equal(emptied(['/'], without('etc/passwd')), undefined);
  t.equal(emptied(['/'], [['etc', false, true]]), '/');
  t.equal(emptied(['/srv/www/a/file'], without('srv/www/a/file')), undefined, 'a file holds no names');
  t.equal(
    emptied(
      ['/srv', '/srv-2'],
      [
        ['srv', true, true],
        ['srv-2', true, true],
        ['srv-2/x', false, true],
      ],
    ),
    '/srv-2',
  );
  t.end();
});
