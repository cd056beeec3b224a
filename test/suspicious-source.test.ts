import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from './harness/loop-fs.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { completeRuns } from './harness/storage-check.ts';
import { makeWorld } from './harness/world.ts';

t.test('a source that vanished is not published as a good run', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 20 });
  const first = await world.backup();
  rmSync(world.source, { recursive: true });
  const refused = await world.expect(['backup', '--json'], 1);
  t.match(refused.stderr, world.source);
  t.match(refused.stderr, /mounted/, 'says what to look at');
  t.same(completeRuns(world.storage), [first.run]);
});

t.test('a source that is empty where it was not needs --allow-empty', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 20 });
  const first = await world.backup();
  rmSync(world.source, { recursive: true });
  mkdirSync(world.source);
  const refused = await world.expect(['backup', '--json'], 1);
  t.match(refused.stderr, /empty/);
  t.match(refused.stderr, /--allow-empty/);
  t.same(completeRuns(world.storage), [first.run]);
  const allowed = await world.backup(['--allow-empty']);
  t.equal(allowed.status, 'complete');
  t.ok(allowed.files.gone >= 20);
});

t.test('a new ext4 in place of the disk of a source is empty, whatever mkfs made in it', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  const first = await world.backup();
  rmSync(world.source, { recursive: true });
  mkdirSync(`${world.source}/lost+found`, { recursive: true, mode: 0o700 });
  t.match((await world.expect(['backup', '--json'], 1)).stderr, /is empty, but held/);
  t.same(completeRuns(world.storage), [first.run]);
  writeFileSync(`${world.source}/lost+found/#12`, 'what fsck found');
  t.equal((await world.backup()).files.new, 1);
});

t.test('one source of two being gone is noticed as well', async (t) => {
  await using world = await makeWorld();
  const other = `${world.bakker.folder}/other`;
  mkdirSync(other);
  writeFileSync(`${other}/file`, 'other');
  writeSampleTree(world.source, { files: 20 });
  await world.configure({ sources: [world.source, other] });
  await world.backup();
  rmSync(other, { recursive: true });
  mkdirSync(other);
  const refused = await world.expect(['backup', '--json'], 1);
  t.match(refused.stderr, other);
});

t.test('a source whose disk is not mounted is not published as a good run', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 << 20 });
  await using world = await makeWorld({ config: { sources: [disk.folder] } });
  writeSampleTree(disk.folder, { files: 20 });
  const first = await world.backup();
  await disk.unmount();
  const refused = await world.expect(['backup', '--json'], 1);
  t.match(refused.stderr, /mount/);
  // Something in the empty mount point does not make it the same source.
  writeSampleTree(disk.folder, { files: 20, seed: 'other' });
  t.match((await world.expect(['backup', '--json'], 1)).stderr, /mount/);
  t.same(completeRuns(world.storage), [first.run]);
  rmSync(`${disk.folder}/folder 0`, { recursive: true });
  await disk.mount();
  t.equal((await world.backup()).files.unchanged, first.files.total);
});

t.test('what is mounted below a source and not backed up may come and go', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 20 });
  // as a container that is made anew has one, or a user who logged in
  const below = `${world.source}/container`;
  mkdirSync(below);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', below]);
  try {
    writeFileSync(`${below}/of it`, 'x');
    await world.backup();
    await world.configure({ 'one-file-system': false });
    t.equal((await world.backup()).files.new, 1);
  } finally {
    execFileSync('umount', [below]);
  }
  const refused = await world.expect(['backup', '--json'], 1);
  t.match(refused.stderr, /container is not mounted/, 'it was backed up, too');
  await world.configure({ exclude: ['conta*'] });
  await world.backup(['--dry-run']);
  await world.configure({ 'one-file-system': true, exclude: [] });
  t.equal((await world.backup()).status, 'complete');
});

t.test('a storage whose disk is not mounted gets no run beside it', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 << 20 });
  await using world = await makeWorld({ kind: 'local' });
  await world.configure({ account: disk.folder });
  writeSampleTree(world.source, { files: 20 });
  await world.backup();
  await disk.unmount();
  const refused = await world.expect(['backup', '--json'], 1);
  t.match(refused.stderr, disk.folder);
  t.match(refused.stderr, /mounted.*--allow-empty/s);
  t.same(completeRuns(disk.folder), []);
  t.match((await world.expect(['doctor'], 1)).stdout, /FAIL +runs: .*holds no run any more/);
  t.match((await world.expect(['verify'], 1)).stderr, /holds no run any more, and .* went there/);
  const listed = await world.expect(['list']);
  t.match(listed.stderr, /holds no run any more, and .* went there: look whether its disk is mounted/);
  t.match(listed.stdout, /^There is no run; bakker --config \S+ --state \S+ backup makes one\.\n$/);
  await disk.mount();
  t.match((await world.backup()).files, { unchanged: 20 });
});

t.test('a storage that was put back to an earlier state is told of', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  const first = await world.backup();
  const earlier = `${world.bakker.folder}/earlier`;
  execFileSync('cp', ['-a', world.storage, earlier]);
  const second = await world.backup(['--force']);
  t.not(second.run, first.run);
  t.notMatch((await world.expect(['doctor'])).stdout, /went there/);
  execFileSync('rsync', ['-aH', '--delete', `${earlier}/`, `${world.storage}/`]);
  t.match(
    (await world.expect(['doctor'])).stdout,
    new RegExp(`warn +runs: ${String(second.run)} went there and is not there`),
  );
  const next = await world.backup(['--force']);
  t.equal(next.warnings.filter((text) => text.includes(`${String(second.run)} went to`)).length, 1);
  t.same((await world.backup(['--force'])).warnings, []);
});

t.test('a storage that was set up anew takes a first run when that is said', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 20 });
  await world.backup();
  execFileSync('sh', ['-c', 'rm -rf "$1"/* "$1"/.bakker', 'sh', world.storage]);
  await world.expect(['backup', '--json'], 1);
  t.match(await world.backup(['--allow-empty']), { parent: null, files: { total: 20 } });
  t.match((await world.backup()).files, { unchanged: 20 });
});

t.test('another account may be empty', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  await world.backup();
  mkdirSync(`${world.bakker.folder}/other storage`);
  await world.configure({ account: `${world.bakker.folder}/other storage` });
  t.equal((await world.backup()).parent, null);
});

t.test('a local storage that lies in a source is left out, not backed up into itself', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeSampleTree(world.source, { files: 20 });
  const inside = `${world.source}/backups`;
  mkdirSync(inside);
  await world.configure({ account: inside });
  const first = await world.backup();
  t.match(first.files, { total: 20 });
  t.match((await world.backup()).files, { total: 20, unchanged: 20 });
  t.match((await world.expect(['backup', '--dry-run'])).stderr, /backups: left out but for itself/);
});

t.test('a source that never was there is a mistake in the configuration that is named', async (t) => {
  await using world = await makeWorld({ config: { sources: ['/no/such/folder'] } });
  const refused = await world.bakker.run(['backup', '--json']);
  t.ok(refused.status === 1 || refused.status === 2, `status ${refused.status}`);
  t.match(refused.stderr, '/no/such/folder');
  t.same(completeRuns(world.storage), []);
});

t.test('the first backup of an empty folder is taken: there is nothing to lose', async (t) => {
  await using world = await makeWorld();
  t.equal((await world.backup()).status, 'complete');
});
