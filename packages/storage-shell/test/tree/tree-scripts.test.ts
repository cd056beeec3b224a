import fc from 'fast-check';
import t from 'tap';
import { comparePaths, type TreeOperation } from '@bakker/impl-format';
import { bytesOf, cloneWorld } from './clone-world.ts';

t.test('scripts give what a naive reading of them gives, inode by inode, and count it', async () => {
  await fc.assert(
    fc.asyncProperty(
      treeAndScripts(),
      fc.boolean(),
      processors(),
      async ({ tree, scripts }, knowsBytes, processors) => {
        await using world = cloneWorld(tree, { knowsBytes, processors });
        for (const script of scripts) {
          const outcome = await world.apply(script);
          if (outcome.length > 0) throw new Error(`failed: ${JSON.stringify(outcome)}`);
        }
        const expected = world.expected(scripts.flat());
        t.strictSame(world.tree('run'), expected);
        const counts = await world.cloner.finish();
        const names = [...expected.values()];
        t.equal(counts.files, names.filter(({ type }) => type === 'file').length);
        t.equal(counts.symlinks, names.filter(({ type }) => type === 'symlink').length);
        t.equal(
          counts.directories + world.runFolders.directories,
          names.filter(({ type }) => type === 'directory').length,
        );
        t.equal(counts.bytes, bytesOf(expected));
        t.equal(
          counts.parentFiles,
          [...world.tree('parent').values()].filter(({ type }) => type === 'file').length,
        );
      },
    ),
    { numRuns: 40 },
  );
});

/** With few, no threads are started. */
function processors(): fc.Arbitrary<number> {
  return fc.constantFrom(1, 4);
}

function treeAndScripts(): fc.Arbitrary<{ tree: Record<string, string>; scripts: TreeOperation[][] }> {
  const name = fc.constantFrom('a', 'b', 'a b', 'a-', 'ab', 'z', 'ä', '.bakker-long-paths');
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const content = fc.constantFrom('x', 'yy', '-> somewhere', '');
  const cursorOperation = fc.record({ kind: fc.constantFrom('keep-until' as const, 'skip' as const), path });
  return fc
    .record({
      tree: fc.dictionary(path, content, { maxKeys: 25 }),
      cursor: fc.array(cursorOperation, { maxLength: 12 }),
      cuts: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 3 }),
      keepRest: fc.boolean(),
    })
    .map(({ tree, cursor, cuts, keepRest }) => {
      const operations: TreeOperation[] = cursor
        .map(({ kind, path }) => ({ kind, path: Buffer.from(path) }))
        .sort((a, b) => comparePaths(a.path, b.path));
      if (keepRest) operations.push({ kind: 'keep-rest' });
      const bounds = [0, ...cuts.sort((a, b) => a - b), operations.length];
      const scripts = bounds.slice(1).map((end, i) => operations.slice(bounds[i], end));
      return { tree: withoutClashes(tree), scripts };
    });
}

/** No path below a file. */
function withoutClashes(tree: Record<string, string>): Record<string, string> {
  const paths = Object.keys(tree).sort();
  const isFolder = (path: string) => paths.some((other) => other.startsWith(`${path}/`));
  return Object.fromEntries(paths.filter((path) => !isFolder(path)).map((path) => [path, tree[path] ?? '']));
}
