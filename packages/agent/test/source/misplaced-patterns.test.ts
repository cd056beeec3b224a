import t from 'tap';
import type { SourceRules } from '../../src/ports/source-tree.ts';
import {
  adviseMisplaced,
  describeMisplaced,
  misplacedPatterns,
} from '../../src/source/misplaced-patterns.ts';

function source(path: string, ...excludes: string[]): SourceRules {
  return { path: Buffer.from(path), excludes, oneFilesystem: true, honourMarkers: true };
}

t.test('an absolute path among the excludes is told, with the pattern that means it', (t) => {
  const found = misplacedPatterns(
    [source('/var', '/var/cache/', '*.tmp', '/cache', 'var/cache'), source('/etc', '/var/cache/')],
    () => false,
  );
  t.same(found, [{ pattern: '/var/cache/', source: '/var', better: '/cache/' }]);
  t.match(found.map(describeMisplaced), [
    /exclude "\/var\/cache\/" leaves nothing out.*it means \/var\/var\/cache\//,
  ]);
  t.match(found.map(adviseMisplaced), [/write "\/cache\/".*\{ path: \/var, exclude: \[\/cache\/\] \}/]);
  t.end();
});

t.test('patterns that mean what they say are not told of', (t) => {
  const none = (rules: SourceRules, folders: readonly string[] = []): void => {
    t.same(
      misplacedPatterns([rules], (path) => folders.includes(path.toString())),
      [],
    );
  };
  none(source('/', '/var/cache/'));
  none(source('/var', '/various/', '/var'));
  none(source('/srv', '/srv/www/'), ['/srv/srv']);
  t.end();
});
