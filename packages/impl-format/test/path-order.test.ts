import fc from 'fast-check';
import t from 'tap';
import { baseName, checkPath, comparePaths, parentPath } from '../src/index.ts';
import { anyPath } from './samples.ts';

t.test('the order is total and that of the components', async () => {
  fc.assert(
    fc.property(anyPath, anyPath, anyPath, (a, b, c) => {
      const order = Math.sign(comparePaths(a, b));
      if (order !== componentOrder(a, b)) return false;
      if (order !== -Math.sign(comparePaths(b, a))) return false;
      if ((order === 0) !== a.equals(b)) return false;
      return !(order <= 0 && comparePaths(b, c) <= 0) || comparePaths(a, c) <= 0;
    }),
    { numRuns: 3000 },
  );
});

t.test('a folder comes directly before all that is in it', async (t) => {
  const inOrder = ['a', 'a/b', 'a/b/c', 'a/b-', 'a/c', 'a\n', 'a b', 'a-b', 'a-b/c', 'a.b', 'ab', 'é'];
  const sorted = [...inOrder]
    .reverse()
    .map((path) => Buffer.from(path))
    .sort(comparePaths);
  t.strictSame(sorted.map(String), inOrder);
});

t.test('any name that Linux allows can be a path', async (t) => {
  fc.assert(fc.property(anyPath, (path) => checkPath(path) === undefined));
  for (const path of [
    '...',
    '.a',
    'a/..b/c..',
    '\n',
    'a'.repeat(255),
    `${'a'.repeat(255)}/`.repeat(15) + 'b'.repeat(256 - 1),
    'a/'.repeat(2047) + 'bb',
  ]) {
    t.equal(checkPath(Buffer.from(path)), undefined, path.slice(0, 20));
  }
  t.equal(checkPath(Buffer.from([0xff, 0x2f, 0x01])), undefined);
});

t.test('a path that leaves its place, or that Linux does not know, is named', async (t) => {
  const wrong: readonly (readonly [path: string, reason: string])[] = [
    ['', 'the path is empty'],
    ['/', 'the path is absolute'],
    ['/etc', 'the path is absolute'],
    ['a/', 'the path ends with a slash'],
    ['a//b', 'the path has an empty component'],
    ['.', 'a component of the path is "."'],
    ['./a', 'a component of the path is "."'],
    ['a/.', 'a component of the path is "."'],
    ['..', 'a component of the path is ".."'],
    ['a/../b', 'a component of the path is ".."'],
    ['a/..', 'a component of the path is ".."'],
    ['a\0b', 'the path has a NUL byte'],
    [`a/${'b'.repeat(256)}`, 'a component of the path is longer than 255 bytes'],
    [`${'é'.repeat(128)}`, 'a component of the path is longer than 255 bytes'],
    ['a/'.repeat(2048) + 'b', 'the path is longer than 4096 bytes'],
  ];
  for (const [path, reason] of wrong) t.equal(checkPath(Buffer.from(path)), reason);
});

t.test('parent and name put together are the path', async (t) => {
  t.equal(parentPath(Buffer.from('a/b/c')).toString(), 'a/b');
  t.equal(baseName(Buffer.from('a/b/c')).toString(), 'c');
  fc.assert(
    fc.property(anyPath, (path) => {
      const parent = parentPath(path);
      const whole =
        parent.length === 0 ? baseName(path) : Buffer.concat([parent, Buffer.from('/'), baseName(path)]);
      return whole.equals(path) && !baseName(path).includes(0x2f);
    }),
  );
});

/** The definition, slowly: lists of components, the first that differs decides by its bytes, a shorter list is less. */
function componentOrder(a: Buffer, b: Buffer): number {
  const componentsOfA = a.toString('latin1').split('/');
  const componentsOfB = b.toString('latin1').split('/');
  for (const [i, component] of componentsOfA.entries()) {
    const other = componentsOfB[i];
    if (other === undefined) return 1;
    const order = Buffer.from(component, 'latin1').compare(Buffer.from(other, 'latin1'));
    if (order !== 0) return order;
  }
  return componentsOfA.length < componentsOfB.length ? -1 : 0;
}
