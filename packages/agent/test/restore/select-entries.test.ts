import t from 'tap';
import type { Entry } from '@bakker/impl-format';
import type { AgentError } from '../../src/errors.ts';
import { parsePathPattern } from '../../src/restore/path-pattern.ts';
import { selectEntries } from '../../src/restore/select-entries.ts';
import { entryOf, folderOf } from './entries.ts';

const TREE = [
  folderOf('etc'),
  folderOf('etc/nginx'),
  entryOf('etc/nginx/a.conf'),
  entryOf('etc/nginx/b.txt'),
  folderOf('etc/nginx/sites'),
  entryOf('etc/nginx/sites/c.conf'),
  entryOf('etc/passwd'),
  folderOf('var'),
  entryOf('var/[odd]*'),
  entryOf('var/odd'),
];

async function* inBatches(entries: readonly Entry[], length: number): AsyncGenerator<readonly Entry[]> {
  for (let at = 0; at < entries.length; at += length) yield entries.slice(at, at + length);
}

async function select(patterns: readonly string[], batchLength = 3) {
  const selection = selectEntries(inBatches(TREE, batchLength), patterns.map(parsePathPattern));
  const found = (await Array.fromAsync(selection.entries())).flat();
  const names = found.map(({ entry, role }) => `${role === 'parent' ? '^' : ''}${entry.path.toString()}`);
  return { names, unmatched: selection.unmatched().map(({ text }) => text) };
}

t.test('without patterns everything is selected', async (t) => {
  t.same(
    (await select([])).names,
    TREE.map(({ path }) => path.toString()),
  );
});

t.test('a file brings the folders above it, once, as parents', async (t) => {
  for (const batchLength of [1, 2, 100]) {
    const { names } = await select(['/etc/passwd', '/etc/nginx/a.conf'], batchLength);
    t.same(names, ['^etc', '^etc/nginx', 'etc/nginx/a.conf', 'etc/passwd']);
  }
});

t.test('a folder brings all that is below it, and no neighbour', async (t) => {
  t.same((await select(['/etc/nginx/'])).names, [
    '^etc',
    'etc/nginx',
    'etc/nginx/a.conf',
    'etc/nginx/b.txt',
    'etc/nginx/sites',
    'etc/nginx/sites/c.conf',
  ]);
});

t.test('a star stays in its folder, two cross folders', async (t) => {
  t.same((await select(['/etc/nginx/*.conf'])).names, ['^etc', '^etc/nginx', 'etc/nginx/a.conf']);
  t.same((await select(['/**/*.conf'])).names, [
    '^etc',
    '^etc/nginx',
    'etc/nginx/a.conf',
    '^etc/nginx/sites',
    'etc/nginx/sites/c.conf',
  ]);
  t.same((await select(['/etc/nginx/?.txt'])).names, ['^etc', '^etc/nginx', 'etc/nginx/b.txt']);
});

t.test('a name that looks like a glob is found by itself', async (t) => {
  t.same((await select(['/var/[odd]*'])).names, ['^var', 'var/[odd]*', 'var/odd']);
});

t.test('what nothing matches is told', async (t) => {
  const { names, unmatched } = await select(['/etc/passwd', '/nowhere', '/etc/pass']);
  t.same(names, ['^etc', 'etc/passwd']);
  t.same(unmatched, ['/nowhere', '/etc/pass']);
});

t.test('bytes that are no text are reached as they are printed', async (t) => {
  const path = Buffer.from([0x61, 0x2f, 0xff]);
  t.ok(parsePathPattern('/a/\\xff').matches(path));
  t.notOk(parsePathPattern('/a/\\xfe').matches(path));
});

t.test('a path must be absolute and without ..', async (t) => {
  for (const text of ['etc/passwd', '', '../etc', '/etc/../root'])
    t.throws(() => parsePathPattern(text), { code: 'USAGE' } satisfies Partial<AgentError>);
});
