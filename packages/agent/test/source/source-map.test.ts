import t from 'tap';
import { mapSources } from '../../src/source/source-map.ts';

t.test('patterns that many sources have are read once', (t) => {
  const sourceAt = (path: string, excludes: readonly string[]) => ({
    path: Buffer.from(path),
    excludes,
    oneFilesystem: true,
    honourMarkers: true,
  });
  const root = mapSources([
    sourceAt('/a', ['*.log', 'x']),
    sourceAt('/b', ['*.log', 'x']),
    sourceAt('/c', ['*.log\nx']),
    sourceAt('/d', []),
  ]);
  const rulesOf = (name: string) => root.below.get(name)?.source?.excludes;
  t.ok(rulesOf('a')?.excludes(Buffer.from('x'), false));
  t.equal(rulesOf('a'), rulesOf('b'));
  t.equal(rulesOf('c')?.excludes(Buffer.from('x'), false), false, 'a pattern of two lines is another one');
  t.equal(rulesOf('d'), undefined);
  t.end();
});
