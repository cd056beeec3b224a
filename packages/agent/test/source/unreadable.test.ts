import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import t from 'tap';
import { scan, source, temporaryFolder } from './tree.ts';

t.test('what a user may not read is named, and the rest is there', async (t) => {
  using folder = temporaryFolder('unreadable');
  const root = folder.path;
  fs.chmodSync(root, 0o755);
  for (const name of ['closed', 'listed', 'open']) {
    fs.mkdirSync(`${root}/${name}`);
    fs.writeFileSync(`${root}/${name}/file`, 'x');
  }
  fs.chmodSync(`${root}/closed`, 0o700);
  fs.chmodSync(`${root}/listed`, 0o744); // names without what they are: nothing in it can be reached
  fs.chmodSync(`${root}/open/file`, 0o600);
  const script = new URL('./unprivileged-scan.ts', import.meta.url).pathname;
  const output = execFileSync('setpriv', [
    ...['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath],
    ...['--disable-warning=ExperimentalWarning', script, root],
  ]);
  const at = root.slice(1);
  t.same(JSON.parse(output.toString()), {
    entries: [
      ['tmp', null],
      [at, null],
      [`${at}/closed`, 'EACCES'],
      [`${at}/listed`, 'EACCES'],
      [`${at}/open`, null],
      [`${at}/open/file`, null],
    ],
    problems: [
      [`${at}/closed`, 'unreadable', 'EACCES'],
      [`${at}/listed`, 'unreadable', 'EACCES'],
    ],
    unread: [[`${at}/open/file`, true]],
  });
});

t.test('a source that is missing, no data, or behind a symlink is refused before the scan', async (t) => {
  using folder = temporaryFolder('refused');
  const root = folder.path;
  fs.mkdirSync(`${root}/real/below`, { recursive: true });
  fs.symlinkSync('real', `${root}/link`);
  execFileSync('mkfifo', [`${root}/fifo`]);
  for (const path of ['missing', 'link/below', 'fifo']) {
    await t.rejects(scan([source(`${root}/${path}`)]), { code: 'SOURCE_SUSPICIOUS' }, path);
  }
  await t.rejects(scan([source('/proc')]), { code: 'SOURCE_SUSPICIOUS' });
});

t.test('a source that goes away between survey and scan ends the run', async (t) => {
  using folder = temporaryFolder('vanishes');
  const { openSourceTree } = await import('../../src/adapters/local-source-tree.ts');
  const path = `${folder.path}/source`;
  fs.mkdirSync(path);
  const tree = openSourceTree();
  const rules = { path: Buffer.from(path), excludes: [], oneFilesystem: true, honourMarkers: true };
  const plan = { sources: [rules], onProblem: () => t.fail('no mere problem') };
  const survey = await tree.survey(plan);
  fs.rmdirSync(path);
  const drain = async () => {
    for await (const batch of tree.scan(plan, survey, { signal: new AbortController().signal })) t.ok(batch);
  };
  await t.rejects(drain(), { code: 'SOURCE_SUSPICIOUS' });
});

t.test('an aborted scan ends, and closes its folders', async (t) => {
  const { openSourceTree } = await import('../../src/adapters/local-source-tree.ts');
  const tree = openSourceTree();
  const rules = { path: Buffer.from('/usr'), excludes: [], oneFilesystem: true, honourMarkers: true };
  const plan = { sources: [rules], onProblem: () => undefined };
  const survey = await tree.survey(plan);
  const before = fs.readdirSync('/proc/self/fd').length;
  const abort = new AbortController();
  const drain = async () => {
    for await (const _ of tree.scan(plan, survey, { signal: abort.signal })) abort.abort(new Error('stop'));
  };
  await t.rejects(drain(), { message: 'stop' });
  t.equal(fs.readdirSync('/proc/self/fd').length, before);
});
