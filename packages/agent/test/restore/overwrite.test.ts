import t from 'tap';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { compareTrees } from '../../../../test/harness/compare-trees.ts';
import { withEntries } from './altered-account.ts';
import { World } from './world.ts';

async function worldWithFile(): Promise<World> {
  const world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  writeFileSync(`${world.source}/folder/file`, 'recorded');
  await world.backUp();
  await world.restore();
  return world;
}

t.test('never leaves what is there, and restores what is missing', async (t) => {
  await using world = await worldWithFile();
  writeFileSync(`${world.restored}/folder/file`, 'mine');
  t.equal((await world.restore({ overwrite: 'never' })).report.skipped, 1);
  t.equal(readFileSync(`${world.restored}/folder/file`, 'utf8'), 'mine');
  rmSync(`${world.restored}/folder/file`);
  await world.restore({ overwrite: 'never' });
  t.equal(readFileSync(`${world.restored}/folder/file`, 'utf8'), 'recorded');
});

t.test(
  'folders that an interrupted restore left closed are finished, by never and for one file, too',
  async (t) => {
    await using world = await worldWithFile();
    const folder = `${world.restored}/folder`;
    const attributes = (path: string): unknown => {
      const { mode, mtimeMs } = statSync(path);
      return { mode, mtimeMs };
    };
    for (const asked of [{}, { paths: [`${world.source}/folder/file`] }]) {
      chmodSync(folder, 0o1700);
      await world.restore({ overwrite: 'never', ...asked });
      t.same(attributes(folder), attributes(`${world.source}/folder`));
      chmodSync(folder, 0o700);
      await world.restore({ overwrite: 'never', ...asked });
      t.equal(statSync(folder).mode & 0o7777, 0o700, 'somebody chose that');
    }
  },
);

t.test('if-newer replaces older files only', async (t) => {
  await using world = await worldWithFile();
  const file = `${world.restored}/folder/file`;
  writeFileSync(file, 'mine');
  await world.restore({ overwrite: 'if-newer' });
  t.equal(readFileSync(file, 'utf8'), 'mine', 'it is newer than the recorded one');
  utimesSync(file, 1000, 1000);
  await world.restore({ overwrite: 'if-newer' });
  t.equal(readFileSync(file, 'utf8'), 'recorded');
});

t.test('if-changed trusts size and time, unless it is to verify', async (t) => {
  await using world = await worldWithFile();
  const file = `${world.restored}/folder/file`;
  const { mtime } = statSync(`${world.source}/folder/file`);
  execFileSync('sh', ['-c', `printf RECORDED > ${file}; touch -r ${world.source}/folder/file ${file}`]);
  t.same(statSync(file).mtime, mtime);
  t.equal((await world.restore()).report.skipped, 1);
  t.equal(readFileSync(file, 'utf8'), 'RECORDED');
  t.equal((await world.restore({ verifies: true })).report.files, 1);
  t.equal(readFileSync(file, 'utf8'), 'recorded');
});

t.test(
  'files that became one in the target become several again, each with its own attributes',
  async (t) => {
    await using world = new World();
    mkdirSync(world.source);
    // each pair is one file of two names, or two files; all are alike
    for (const name of ['pair 1', 'pair 2', 'single 1', 'single 2', 'other 1', 'other 2']) {
      writeFileSync(`${world.source}/${name}`, 'alike');
      utimesSync(`${world.source}/${name}`, 1, 1);
    }
    for (const name of ['pair 1', 'pair 2'])
      linkSync(`${world.source}/${name}`, `${world.source}/${name} again`);
    for (const name of ['pair 2', 'other 2']) chmodSync(`${world.source}/${name}`, 0o600);
    await world.backUp();
    await world.restore();
    for (const name of ['pair 1 again', 'pair 2 again']) rmSync(`${world.restored}/${name}`);
    for (const what of ['pair', 'single', 'other']) {
      rmSync(`${world.restored}/${what} 2`);
      linkSync(`${world.restored}/${what} 1`, `${world.restored}/${what} 2`);
    }
    await world.restore({ verifies: true });
    t.same(await compareTrees(world.source, world.restored), []);
    const { report } = await world.restore({ verifies: true });
    t.same([report.files, report.mended], [0, 0], 'and stay so');
  },
);

t.test('a file that has another name elsewhere is replaced, never written into', async (t) => {
  await using world = await worldWithFile();
  const file = `${world.restored}/folder/file`;
  const elsewhere = `${world.folder}/elsewhere`;
  writeFileSync(file, 'mine');
  linkSync(file, elsewhere);
  await world.restore();
  t.equal(readFileSync(elsewhere, 'utf8'), 'mine');
  t.equal(readFileSync(file, 'utf8'), 'recorded');
  rmSync(elsewhere);
  linkSync(file, elsewhere);
  execFileSync('chmod', ['600', file]);
  await world.restore();
  t.equal(lstatSync(elsewhere).mode & 0o777, 0o600, 'attributes of the other name stay as well');
  t.same(await compareTrees(world.source, world.restored), []);
});

t.test('what is of another type is replaced, but a folder with something in it needs --delete', async (t) => {
  await using world = await worldWithFile();
  const file = `${world.restored}/folder/file`;
  rmSync(file);
  mkdirSync(file);
  await world.restore();
  t.same(await compareTrees(world.source, world.restored), [], 'an empty folder gives way');
  rmSync(file);
  mkdirSync(file);
  writeFileSync(`${file}/precious`, 'x');
  const { report } = await world.restore();
  t.equal(report.failed.count, 1);
  t.match(
    report.warnings()[0],
    /folder\/file could not be restored: a folder that is not empty is in the way/,
  );
  t.ok(existsSync(`${file}/precious`));
  await world.restore({ deletes: true });
  t.same(await compareTrees(world.source, world.restored), []);
  rmSync(`${world.restored}/folder`, { recursive: true });
  writeFileSync(`${world.restored}/folder`, 'a file where the folder was');
  t.equal((await world.restore({ overwrite: 'if-newer' })).report.failed.count, 1);
  await world.restore();
  t.same(await compareTrees(world.source, world.restored), []);
});

t.test('--delete removes what the run does not have, below sources only', async (t) => {
  await using world = await worldWithFile();
  mkdirSync(`${world.restored}/folder/extra/deep`, { recursive: true });
  writeFileSync(`${world.restored}/folder/extra/deep/file`, 'x');
  symlinkSync('/etc', `${world.restored}/folder/link`);
  writeFileSync(`${world.folder}/back/outside`, 'above the source: the run holds only the way there');
  const { report } = await world.restore({ deletes: true });
  t.equal(report.deleted, 4);
  t.same(await compareTrees(world.source, world.restored), []);
  t.ok(existsSync(`${world.back}/outside`));
  t.ok(existsSync('/etc/passwd'));
});

t.test('--delete with a path stays within that path', async (t) => {
  await using world = await worldWithFile();
  writeFileSync(`${world.restored}/folder/stray`, 'x');
  writeFileSync(`${world.restored}/stray`, 'x');
  await world.restore({ deletes: true, paths: [`${world.source}/folder`] });
  t.notOk(existsSync(`${world.restored}/folder/stray`));
  t.ok(existsSync(`${world.restored}/stray`));
});

t.test('--delete leaves a mounted file system alone that the run has nothing of', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/mount`, { recursive: true });
  await world.backUp();
  await world.restore();
  const mount = `${world.restored}/mount`;
  execFileSync('mount', ['-t', 'tmpfs', 'none', mount]);
  try {
    writeFileSync(`${mount}/precious`, 'x');
    mkdirSync(`${world.restored}/stray/inner`, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'none', `${world.restored}/stray/inner`]);
    try {
      writeFileSync(`${world.restored}/stray/inner/precious`, 'x');
      const { report } = await world.restore({ deletes: true });
      t.ok(existsSync(`${mount}/precious`));
      t.ok(existsSync(`${world.restored}/stray/inner/precious`));
      t.equal(report.notDeleted.count, 2);
    } finally {
      execFileSync('umount', [`${world.restored}/stray/inner`]);
    }
  } finally {
    execFileSync('umount', [mount]);
  }
});

t.test('in place, the folders above a path keep their own attributes', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  writeFileSync(`${world.source}/folder/file`, 'recorded');
  await world.backUp();
  execFileSync('chmod', ['711', `${world.source}/folder`]);
  writeFileSync(`${world.source}/folder/file`, 'changed');
  writeFileSync(`${world.source}/folder/other`, 'untouched');
  await world.restore({ to: '/', paths: [`${world.source}/folder/file`] });
  t.equal(readFileSync(`${world.source}/folder/file`, 'utf8'), 'recorded');
  t.equal(lstatSync(`${world.source}/folder`).mode & 0o777, 0o711);
  t.same(readdirSync(`${world.source}/folder`), ['file', 'other']);
});

t.test('names that only share an inode number are not linked to each other', async (t) => {
  await using world = new World();
  for (const folder of ['one', 'two']) mkdirSync(`${world.source}/${folder}`, { recursive: true });
  // names of each come between those of the others; the first and the third are of one size, so that only what is in them tells
  for (const name of ['first', 'second', 'third']) {
    writeFileSync(`${world.source}/one/${name}`, `content of the ${name}`);
    linkSync(`${world.source}/one/${name}`, `${world.source}/two/${name}`);
  }
  await world.backUp();
  await using account = await world.account();
  // a number that was free again while the run was made
  const shared = withEntries(account, (entry) => (entry.type === 'file' ? { ...entry, inode: 77n } : entry));
  await world.restore({}, shared);
  t.same(await compareTrees(world.source, world.restored), []);
});

t.test('--delete leaves the runs alone that are restored from', async (t) => {
  class Inside extends World {
    override readonly storage = `${this.source}/account`;
  }
  await using world = new Inside();
  mkdirSync(`${world.source}/account`, { recursive: true });
  writeFileSync(`${world.source}/file`, 'recorded');
  await world.backUp();
  const runs = readdirSync(world.storage);
  writeFileSync(`${world.source}/new`, 'of today');
  const { report } = await world.restore({ to: '/', deletes: true });
  t.equal(existsSync(`${world.source}/new`), false);
  t.same(readdirSync(world.storage), runs);
  t.same(report.warnings(), []);

  // and where the folder has another name than it had
  renameSync(world.storage, `${world.source}/renamed`);
  class Renamed extends World {
    override readonly folder = world.folder;
    override readonly source = world.source;
    override readonly storage = `${world.source}/renamed`;
  }
  const renamed = new Renamed();
  const second = await renamed.restore({ to: '/', deletes: true });
  t.same(readdirSync(renamed.storage), runs);
  t.match(second.report.warnings().join('\n'), /renamed.*holds the runs/);
});
