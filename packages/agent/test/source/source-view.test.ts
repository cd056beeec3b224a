import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import type { Entry } from '@bakker/impl-format';
import t from 'tap';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import { viewBelow } from '../../src/adapters/source/source-view.ts';
import { temporaryFolder } from './tree.ts';

const setting = (path: string) => ({ path, excludes: ['*.tmp'], oneFilesystem: false, honourMarkers: true });

t.test('a frozen view is read in place of the live files, under their own paths', async (t) => {
  using live = temporaryFolder('live');
  using folder = temporaryFolder('view');
  const source = `${live.path}/data`;
  fs.mkdirSync(`${source}/sub`, { recursive: true });
  fs.writeFileSync(`${source}/file`, 'live');
  fs.writeFileSync(`${source}/only-live`, 'live');
  const frozen = `${folder.path}${source}`;
  fs.mkdirSync(`${frozen}/mounted`, { recursive: true });
  fs.writeFileSync(`${frozen}/file`, 'frozen');
  fs.writeFileSync(`${frozen}/left.tmp`, 'x');
  fs.symlinkSync(source, `${folder.path}${live.path}/link`);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'frozen', `${frozen}/file`]);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', `${frozen}/mounted`]);
  using _mounted = { [Symbol.dispose]: () => void execFileSync('umount', [`${frozen}/mounted`]) };
  fs.writeFileSync(`${frozen}/mounted/inside`, 'mounted');

  const tree = openSourceTree(viewBelow(Buffer.from(folder.path)));
  const rules = await tree.expand([setting(`${live.path}/li*`), setting(`${live.path}/link`)], []);
  t.same(
    rules.map(({ path }) => path.toString()),
    [`${live.path}/link`, `${live.path}/link`, source],
    'globs and symlinks are resolved inside the view',
  );
  const plan = { sources: rules.slice(1), onProblem: (problem: object) => t.fail(JSON.stringify(problem)) };
  const survey = await tree.survey(plan);
  t.ok(
    survey.filesystems.some(
      ({ mountPoint, type }) => mountPoint.toString() === `${source}/mounted` && type === 'tmpfs',
    ),
    'a file system of the view counts as mounted where it really is',
  );
  const entries: Entry[] = [];
  for await (const batch of tree.scan(plan, survey, { signal: new AbortController().signal }))
    entries.push(...batch);
  const below = entries.filter(({ path }) => `/${path.toString()}`.startsWith(`${source}/`));
  t.same(
    below.map(({ path }) => `/${path.toString()}`.slice(source.length)),
    ['/file', '/mounted', '/mounted/inside'],
  );
  const [file, , inside] = below;
  if (!file || !inside) throw new Error('entries are missing');
  t.equal(tree.readWhole(file).content.toString(), 'frozen');
  t.equal(file.xattrs?.[0]?.value.toString(), 'frozen');
  t.equal(survey.filesystems[inside.filesystem]?.mountPoint.toString(), `${source}/mounted`);
  tree.close();
});
