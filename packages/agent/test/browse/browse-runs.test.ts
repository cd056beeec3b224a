import t from 'tap';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { temporaryFindings } from '../../src/adapters/temporary/temporary-findings.ts';
import { chooseRuns } from '../../src/browse/choose-run.ts';
import { diffRuns } from '../../src/browse/diff-runs.ts';
import { lookUp } from '../../src/browse/find-entry.ts';
import { listRuns } from '../../src/browse/list-runs.ts';
import { pathJson } from '../../src/browse/path-text.ts';
import { findInRuns, historyOf } from '../../src/browse/search-runs.ts';
import { streamContent } from '../../src/browse/stream-content.ts';
import type { Entry, RunName } from '@bakker/impl-format';
import { World } from '../restore/world.ts';

const signal = new AbortController().signal;
const ODD = Buffer.from([0x6f, 0xff, 0x1b, 0x0a]);

/** Two runs of a small tree that changed between them in every way. */
async function twoRuns(): Promise<{ world: World; before: RunName; after: RunName }> {
  const world = new World();
  const at = (name: string) => `${world.source}/${name}`;
  mkdirSync(at('folder'), { recursive: true });
  for (const name of ['changed', 'same', 'gone', 'mode', 'renamed', 'folder/copied'])
    writeFileSync(at(name), `content of ${name}`);
  writeFileSync(at('empty'), '');
  symlinkSync('same', at('link'));
  const before = await world.backUp();
  writeFileSync(at('changed'), 'other content');
  rmSync(at('gone'));
  rmSync(at('empty'));
  writeFileSync(at('new-empty'), '');
  chmodSync(at('mode'), 0o600);
  renameSync(at('renamed'), at('folder/renamed'));
  writeFileSync(at('folder/copy'), readFileSync(at('folder/copied')));
  rmSync(at('folder/copied'));
  rmSync(at('link'));
  symlinkSync('changed', at('link'));
  writeFileSync(Buffer.concat([Buffer.from(at('')), ODD]), 'odd');
  const after = await world.backUp();
  return { world, before, after };
}

t.test('diff tells every kind of change, and moves by inode and by content', async (t) => {
  const { world, before, after } = await twoRuns();
  await using _world = world;
  await using account = await world.account();
  const short = (path: Buffer) => path.toString('latin1').slice(world.source.length);
  const found = async (pair: { before: RunName; after: RunName }) => {
    const differences = await temporaryFindings.differences();
    await diffRuns(account, { ...pair, differences });
    return [...differences];
  };
  const differences = (await found({ before, after })).map(
    ({ path, change, from }) => `${change} ${short(path)}${from === undefined ? '' : ` from ${short(from)}`}`,
  );
  t.same(differences, [
    'content changed',
    'removed empty',
    'moved folder/copy from folder/copied',
    'moved folder/renamed from renamed',
    'removed gone',
    'content link',
    'metadata mode',
    'added new-empty',
    `added ${ODD.toString('latin1')}`,
  ]);
  t.same(await found({ before: after, after }), []);
});

t.test('find looks by name in all runs, or by path', async (t) => {
  const { world, before, after } = await twoRuns();
  await using _world = world;
  await using account = await world.account();
  const runs = await chooseRuns(account, 'all');
  const found = async (pattern: string) => {
    const hits = findInRuns(account, { runs, pattern, signal, onUnread: (error) => t.fail(error) });
    return (await Array.fromAsync(hits)).map(
      ({ run, entry }) => `${run} ${entry.path.toString().slice(world.source.length)}`,
    );
  };
  t.same(await found('cop*'), [`${before} folder/copied`, `${after} folder/copy`]);
  t.same(await found('renamed'), [`${before} renamed`, `${after} folder/renamed`]);
  t.same(await found(`${world.source}/folder/r*`), [`${after} folder/renamed`]);
  t.same(await found('folder/renamed'), [`${after} folder/renamed`]);
  t.same(await found('nothing-like-it'), []);
});

t.test('history tells where a path came, changed and went, and names damaged runs', async (t) => {
  const { world, before } = await twoRuns();
  await using _world = world;
  const gone = `${world.source}/gone`;
  await world.backUp();
  writeFileSync(gone, 'back again');
  await world.backUp();
  await using account = await world.account();
  const runs = await chooseRuns(account, 'all');
  const changes = async (path: string) =>
    (await historyOf(account, { runs, path, signal })).map(({ change }) => change);
  t.same(await changes(gone), ['first', 'absent', 'absent', 'content']);
  t.same(await changes(`${world.source}/mode`), ['first', 'metadata', 'same', 'same']);
  writeFileSync(`${world.storage}/${before}.impl`, 'nonsense');
  t.same(await changes(`${world.source}/mode`), ['damaged', 'first', 'same', 'same']);
});

t.test('a path is looked up with what lies directly in it', async (t) => {
  const { world, after } = await twoRuns();
  await using _world = world;
  await using account = await world.account();
  const look = async (path: string) => {
    const children: string[] = [];
    const onChild = async (entry: Entry) => void children.push(entry.path.toString().replace(/.*\//, ''));
    const found = await lookUp(account, { run: after, path, onChild });
    return found && children;
  };
  t.same(await look(`${world.source}/folder/`), ['copy', 'renamed']);
  t.same(await look('/'), ['tmp']);
  t.same(await look(`${world.source}/same`), []);
  t.equal(await look(`${world.source}/nowhere`), undefined);
  t.same(await look(`${world.source}${pathJson(ODD).path}`), [], 'as bakker prints it');
  t.same(await look(`${world.source}/o\\xff\\x1b\\x0a`), [], 'byte by byte');
});

t.test('cat writes exact bytes, holes as zeros, and fails after damaged ones', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/holes`, 'start');
  truncateSync(`${world.source}/holes`, 3_000_000);
  writeFileSync(`${world.source}/empty`, '');
  writeFileSync(`${world.source}/plain`, 'plain');
  linkSync(`${world.source}/plain`, `${world.source}/second`);
  const run = await world.backUp();
  await using account = await world.account();
  const read = async (name: string, pieces: Uint8Array[] = []) => {
    const found = await lookUp(account, { run, path: `${world.source}/${name}` });
    if (found?.entry === undefined) throw new Error(`${name} is not there`);
    const { entry } = found;
    await streamContent(account, {
      run,
      entry,
      write: async (bytes) => void pieces.push(Buffer.from(bytes)),
    });
    return Buffer.concat(pieces);
  };
  for (const name of ['holes', 'empty', 'plain', 'second'])
    t.ok((await read(name)).equals(readFileSync(`${world.source}/${name}`)), name);
  await t.rejects(read('.'), { code: 'PATH_NOT_FOUND' });
  const stored = `${world.storage}/${run}${world.source}/plain`;
  writeFileSync(stored, 'pl@in');
  const pieces: Uint8Array[] = [];
  await t.rejects(read('plain', pieces), { code: 'VERIFY_DAMAGED' });
  t.equal(Buffer.concat(pieces).toString(), 'pl@in', 'what is there is handed out all the same');
  rmSync(stored);
  await t.rejects(read('plain'), { code: 'VERIFY_DAMAGED' });
});

t.test('list tells the state of each run by its manifest', async (t) => {
  const { world, before, after } = await twoRuns();
  await using _world = world;
  mkdirSync(`${world.storage}/2024_05_01_01.incomplete`);
  const states = async () => {
    await using account = await world.account();
    return (await listRuns(account)).map(
      ({ run, status, isLatest }) => `${run} ${status}${isLatest ? ' latest' : ''}`,
    );
  };
  const unfinished = '2024_05_01_01 incomplete';
  t.same(await states(), [`${before} complete`, `${after} complete latest`, unfinished]);
  await using account = await world.account();
  const [withReceipt] = await listRuns(account);
  rmSync(`${world.storage}/.bakker/receipts/${before}.json`);
  t.same((await listRuns(account))[0], withReceipt, 'without a receipt the manifest tells the same');
  writeFileSync(`${world.storage}/${before}.impl`, 'nonsense');
  t.equal((await states())[0], `${before} damaged`);
  rmSync(`${world.storage}/${before}.impl`);
  t.equal((await states())[0], `${before} damaged`);
  const manifest = readFileSync(`${world.storage}/${after}.impl`);
  writeFileSync(`${world.storage}/${after}.impl`, Buffer.concat([manifest, Buffer.from('x')]));
  t.equal((await states())[1], `${after} damaged latest`, 'it is not what the receipt says');
});

t.test('a path in JSON is text, with its bytes where text can not say them', async (t) => {
  t.same(pathJson(Buffer.from('etc/passwd')), { path: '/etc/passwd' });
  t.same(pathJson(Buffer.from('é')), { path: '/é' });
  const odd = pathJson(ODD);
  t.equal(odd.path, '/o\\xff\\x1b\\n');
  t.ok(Buffer.from(odd.pathBase64 ?? '', 'base64').equals(Buffer.concat([Buffer.from('/'), ODD])));
});
