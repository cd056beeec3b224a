import * as fs from 'node:fs';
import t from 'tap';
import { expandSources } from '../../src/adapters/source/expand-sources.ts';
import { LIVE_VIEW } from '../../src/adapters/source/source-view.ts';
import { scan, temporaryFolder } from './tree.ts';

const setting = (path: string, excludes: readonly string[] = []) => ({
  path,
  excludes,
  oneFilesystem: true,
  honourMarkers: true,
});
const paths = async (...found: readonly string[]) =>
  (
    await expandSources(
      found.map((path) => setting(path)),
      [],
      LIVE_VIEW,
    )
  ).map(({ path }) => path.toString('latin1'));

t.test('globs find folders, files and symlinks of any name, and patterns are joined', async (t) => {
  using folder = temporaryFolder('glob');
  const root = folder.path;
  for (const name of ['a', 'b', '.hidden', '[x]', 'ä'])
    fs.mkdirSync(`${root}/${name}/data`, { recursive: true });
  fs.mkdirSync(Buffer.from(`${root}/\xff/data`, 'latin1'), { recursive: true });
  fs.symlinkSync('a', `${root}/link`);
  const umlaut = Buffer.from('ä').toString('latin1');
  t.same(
    await paths(`${root}/*/data`),
    ['.hidden', '[x]', 'a', 'b', umlaut, '\xff'].map((name) => `${root}/${name}/data`),
  );
  t.same(await paths(`${root}/{a,b}`), [`${root}/a`, `${root}/b`]);
  t.same(await paths(`${root}/[x]`), [`${root}/[x]`], 'what is there as it is written is no glob');
  t.same(await paths(`${root}/ä/`), [`${root}/${umlaut}`]);
  t.ok((await paths(`${root}/*`)).includes(`${root}/link`), 'a symlink that a glob finds is kept as it is');
  t.same(await paths('/'), ['/']);
  const [rules] = await expandSources([setting(root, ['own'])], ['global'], LIVE_VIEW);
  t.same(rules?.excludes, ['global', 'own']);
});

t.test('a source behind symlinks is followed, and the links are kept', async (t) => {
  using folder = temporaryFolder('links');
  const root = folder.path;
  fs.mkdirSync(`${root}/real/deep`, { recursive: true });
  fs.writeFileSync(`${root}/real/deep/file`, 'x');
  fs.symlinkSync('./second', `${root}/first`);
  fs.symlinkSync(`${root}/x/../real`, `${root}/second`);
  fs.mkdirSync(`${root}/x`);
  const found = await paths(`${root}/first/deep`);
  t.same(found, [`${root}/first`, `${root}/second`, `${root}/real/deep`]);
  const scanned = await scan(found.map((path) => ({ path: Buffer.from(path) })));
  t.equal(scanned.entry(`${root}/first`).type, 'symlink');
  t.ok(scanned.has(`${root}/real/deep/file`));
  t.same(await paths(`${root}/first`), [`${root}/first`, `${root}/second`, `${root}/real`]);
});

t.test('what is not there is suspicious, never an empty source', async (t) => {
  using folder = temporaryFolder('nothing');
  const root = folder.path;
  fs.symlinkSync('nowhere', `${root}/dangling`);
  fs.symlinkSync('round', `${root}/round`);
  for (const path of [
    `${root}/missing`,
    `${root}/*.db`,
    `${root}/dangling`,
    `${root}/round`,
    `${root}/missing/below`,
  ]) {
    await t.rejects(paths(path), { code: 'SOURCE_SUSPICIOUS' }, path);
  }
  await t.rejects(paths(`${root}/a\u001b[31mb`), { message: /a\\x1b\[31mb/ });
});
