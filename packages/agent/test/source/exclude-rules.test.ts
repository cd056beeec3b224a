import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { scan, source, temporaryFolder } from './tree.ts';

const FOLDERS = [
  'a',
  'a/b',
  'a/b/a',
  'b',
  'b/a',
  'foo',
  'foo/bar',
  'foo/bar/foo',
  '.x',
  'é',
  'a b',
  'A',
  '[a]',
];
const NAMES = [
  'a',
  'b',
  'c.o',
  'b.c',
  'foo.txt',
  '.a',
  '-',
  'é',
  '\xff\xfe',
  'a\nb',
  'x ',
  '!n',
  '#n',
  '*',
  'a\\b',
  'Foo',
];

/** Every folder holds every name that is not one of its folders; paths are latin1. */
function makeTree(root: string): string[] {
  const folders = FOLDERS.map((folder) => Buffer.from(folder).toString('latin1'));
  for (const folder of FOLDERS) mkdirSync(`${root}/${folder}`, { recursive: true });
  const paths = [...folders];
  for (const folder of ['', ...folders.map((name) => `${name}/`)]) {
    for (const name of NAMES) {
      const path = `${folder}${name === 'é' ? Buffer.from(name).toString('latin1') : name}`;
      if (folders.includes(path)) continue;
      writeFileSync(Buffer.from(`${root}/${path}`, 'latin1'), '');
      paths.push(path);
    }
  }
  return paths;
}

/** What is left by git's own reading of the patterns; latin1, sorted. */
function keptByGit(
  root: string,
  gitDir: string,
  paths: readonly string[],
  patterns: readonly string[],
): string[] {
  writeFileSync(`${gitDir}/info/exclude`, patterns.map((pattern) => `${pattern}\n`).join(''));
  const { stdout, status, stderr } = spawnSync(
    'git',
    [`--git-dir=${gitDir}`, `--work-tree=${root}`, 'check-ignore', '--no-index', '-z', '--stdin'],
    {
      cwd: root,
      input: Buffer.from(`${paths.join('\0')}\0`, 'latin1'),
      env: { ...process.env, LC_ALL: 'C' },
    },
  );
  if (status !== 0 && status !== 1) throw new Error(`git: ${stderr.toString()}`);
  const ignored = new Set(stdout.toString('latin1').split('\0'));
  return paths.filter((path) => !ignored.has(path)).sort();
}

async function keptByScan(root: string, patterns: readonly string[]): Promise<string[]> {
  const scanned = await scan([source(root, { excludes: patterns })]);
  return scanned
    .below(root)
    .map((path) => path.slice(root.length + 1))
    .sort();
}

const PATTERNS: readonly (readonly string[])[] = [
  ['*.o'],
  ['a'],
  ['a/'],
  ['/a'],
  ['/a/'],
  ['a/b'],
  ['b/a'],
  ['**/a/b'],
  ['a/**'],
  ['a/**/a'],
  ['**'],
  ['*'],
  ['*', '!a'],
  ['*', '!a/', '!*.o'],
  ['*', '!*/', '!*.txt'],
  ['/*', '!/foo', '/foo/*', '!/foo/bar'],
  ['foo', '!foo/bar'],
  ['foo/*', '!foo/bar'],
  ['[ab]'],
  ['[!ab]'],
  ['[^ab]*'],
  ['[[:upper:]]*'],
  ['[[:nope:]]'],
  ['[a-'],
  ['[]a]'],
  ['[a\\]]'],
  ['\\[a\\]'],
  ['\\*'],
  ['\\!n'],
  ['!n'],
  ['\\#n'],
  ['#n'],
  ['x '],
  ['x\\ '],
  ['a\\\\b'],
  ['é'],
  ['?'],
  ['??'],
  ['a?b'],
  ['a**b'],
  ['foo**/foo'],
  ['fo**/foo'],
  ['f***/foo'],
  ['**foo'],
  ['foo/**/foo'],
  ['foo\\**'],
  ['a/**/'],
  ['*/b'],
  ['*/*/a'],
  ['/**/b'],
  ['//a'],
  ['a//'],
  ['a//b'],
  ['/'],
  ['!'],
  [''],
  ['.*'],
  ['.'],
  ['foo\\'],
  ['FOO'],
  ['*.[oc]'],
  ['*.{o,c}'],
  ['a b'],
  ['a b/'],
];

t.test('patterns leave out exactly what git leaves out', async (t) => {
  using folder = temporaryFolder('exclude');
  const root = `${folder.path}/tree`;
  const gitDir = `${folder.path}/git`;
  const paths = makeTree(root);
  execFileSync('git', ['init', '-q', '--bare', gitDir]);
  execFileSync('git', [`--git-dir=${gitDir}`, 'config', 'core.bare', 'false']);

  for (const patterns of PATTERNS) {
    const expected = keptByGit(root, gitDir, paths, patterns);
    t.same(await keptByScan(root, patterns), expected, JSON.stringify(patterns));
  }

  const token = fc.constantFrom(
    ...['a', 'b', 'foo', 'é', '*', '**', '***', '?', '/', '\\', '.', '!', '#', ' ', '-'],
    ...['[ab]', '[!a]', '[^b]', '[a-f]', '[[:alpha:]]', '[', ']', '[]', '.o', '{'],
  );
  const line = fc.array(token, { minLength: 1, maxLength: 6 }).map((tokens) => tokens.join(''));
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 4 }), async (patterns) => {
      const expected = keptByGit(root, gitDir, paths, patterns);
      const kept = await keptByScan(root, patterns);
      if (kept.join('\n') !== expected.join('\n')) {
        const odd = [
          ...kept.filter((path) => !expected.includes(path)),
          ...expected.filter((path) => !kept.includes(path)),
        ];
        throw new Error(`differs from git at ${JSON.stringify(odd.slice(0, 5))}`);
      }
    }),
    {
      numRuns: Number(process.env['BAKKER_EXCLUDE_RUNS'] ?? 200),
      seed: Number(process.env['BAKKER_EXCLUDE_SEED'] ?? 7),
    },
  );
});
