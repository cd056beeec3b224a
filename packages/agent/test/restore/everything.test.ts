import t from 'tap';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { compareTrees } from '../../../../test/harness/compare-trees.ts';
import { makeTortureTree } from '../../../../test/harness/torture-tree.ts';
import type { Acl, AclEntry } from '@bakker/impl-format';
import { withEntries } from './altered-account.ts';
import { World } from './world.ts';

const run = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: 'utf8' });

t.test(
  'everything a file system can hold comes back, and a second restore finds nothing to do',
  async (t) => {
    await using world = new World();
    mkdirSync(world.source);
    await makeTortureTree(world.source, { hardLinks: 300, manyEntries: 2500, deepPathBytes: 3500 });
    await world.backUp();
    const first = await world.restore({ verifies: true });
    t.same(first.report.warnings(), []);
    t.equal(first.report.damaged.count, 0);
    t.same(await compareTrees(world.source, world.restored), []);
    const second = await world.restore();
    t.equal(second.report.files, 0);
    t.equal(second.report.mended, 0);
    t.equal(second.report.skipped, first.report.files);
    const third = await world.restore({ overwrite: 'always' });
    t.equal(third.report.files, first.report.files, 'always writes all of it again, over what is there');
    t.same(await compareTrees(world.source, world.restored), []);
  },
);

t.test('attributes that went wrong are put right without fetching content', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  writeFileSync(`${world.source}/folder/program`, 'content');
  symlinkSync('program', `${world.source}/folder/link`);
  run('setcap', 'cap_net_raw+ep', `${world.source}/folder/program`);
  run('setfacl', '-m', 'u:12345:rw', `${world.source}/folder/program`);
  run('setfacl', '-d', '-m', 'g:daemon:rx', `${world.source}/folder`);
  run('setfattr', '-n', 'user.note', '-v', 'kept', `${world.source}/folder/program`);
  await world.backUp();
  await world.restore();
  const inodeOf = () => lstatSync(`${world.restored}/folder/program`).ino;
  const inode = inodeOf();
  run('setfacl', '-b', '-k', `${world.restored}/folder`, `${world.restored}/folder/program`);
  run('setfattr', '-x', 'user.note', `${world.restored}/folder/program`);
  run('setfattr', '-n', 'user.stray', '-v', 'x', `${world.restored}/folder/program`);
  run('setcap', '-r', `${world.restored}/folder/program`);
  run('chmod', '4711', `${world.restored}/folder/program`);
  run('chown', '-h', '7:8', `${world.restored}/folder/program`, `${world.restored}/folder/link`);
  run('setfattr', '-n', 'user.stray', '-v', 'x', `${world.restored}/folder`);
  const { report } = await world.restore();
  t.same(await compareTrees(world.source, world.restored), []);
  t.equal(report.bytes, 0);
  t.equal(report.mended, 3);
  t.equal(inodeOf(), inode, 'the file itself stayed');
});

t.test('a default ACL of the target is not inherited by what is restored', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  writeFileSync(`${world.source}/folder/file`, 'x');
  run('mkfifo', `${world.source}/folder/fifo`);
  await world.backUp();
  mkdirSync(world.back);
  run('setfacl', '-d', '-m', 'u:12345:rwx', world.back);
  run('chmod', 'g+s', world.back);
  chownSync(world.back, 0, 9);
  await world.restore();
  t.same(await compareTrees(world.source, world.restored), []);
});

t.test('owners are set by name, or by number when asked', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/file`, 'x');
  chownSync(`${world.source}/file`, 65534, 41_234);
  await world.backUp();
  const restored = `${world.restored}/file`;
  await world.restore();
  t.equal(run('stat', '-c', '%U %g', restored).trim(), 'nobody 41234');
  rmSync(world.back, { recursive: true });
  await world.restore({ numericOwner: true });
  t.equal(run('stat', '-c', '%u %g', restored).trim(), '65534 41234');
});

t.test('so are the users and groups of ACLs', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  writeFileSync(`${world.source}/folder/file`, 'x');
  const acl = 'u:nobody:r,u:41234:rw,g:daemon:rx';
  run('setfacl', '-m', acl, `${world.source}/folder/file`);
  run('setfacl', '-d', '-m', acl, `${world.source}/folder`);
  await world.backUp();
  await using account = await world.account();
  // made on a machine where these names had other numbers
  const elsewhere = withEntries(account, (entry) =>
    entry.acl ? { ...entry, acl: numbered(entry.acl) } : entry,
  );
  const namesOf = (path: string): string[] =>
    run('getfacl', '-cpnE', `${world.restored}/${path}`)
      .split('\n')
      .filter((line) => /(user|group):\d/.test(line));

  await world.restore({}, elsewhere);
  const byName = [
    `user:${idOf('passwd', 'nobody')}:r--`,
    'user:41234:rw-',
    `group:${idOf('group', 'daemon')}:r-x`,
  ];
  t.same(namesOf('folder/file').sort(), byName.toSorted());
  t.same(namesOf('folder').sort(), byName.map((line) => `default:${line}`).sort());

  rmSync(world.back, { recursive: true });
  await world.restore({ numericOwner: true }, elsewhere);
  const byNumber = ['user:777:r--', 'user:41234:rw-', 'group:777:r-x'];
  t.same(namesOf('folder/file').sort(), byNumber.toSorted());
  t.same(namesOf('folder').sort(), byNumber.map((line) => `default:${line}`).sort());
});

/** The same, with 777 as the number of whatever has a name. */
function numbered({ access, default: forNew }: Acl): Acl {
  const number = (lines: readonly AclEntry[]): AclEntry[] =>
    lines.map((line) => (line.name === undefined ? line : { ...line, id: 777 }));
  return { ...(access && { access: number(access) }), ...(forNew && { default: number(forNew) }) };
}

function idOf(database: 'passwd' | 'group', name: string): string {
  return run('getent', database, name).split(':')[2] ?? '';
}

t.test('a path or glob brings what it names and the folders above, with their attributes', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/etc/nginx/sites`, { recursive: true, mode: 0o750 });
  writeFileSync(`${world.source}/etc/nginx/a.conf`, 'a');
  writeFileSync(`${world.source}/etc/nginx/sites/b.conf`, 'b');
  writeFileSync(`${world.source}/etc/nginx/readme`, 'r');
  run('touch', '-d', '2020-01-02T03:04:05.678901234Z', `${world.source}/etc/nginx`, `${world.source}/etc`);
  await world.backUp();
  const { unmatched } = await world.restore({ paths: [`${world.source}/**/*.conf`, '/no/such'] });
  t.same(
    unmatched.map(({ text }) => text),
    ['/no/such'],
  );
  t.same(run('find', world.restored, '-type', 'f', '-printf', '%P\n').split('\n').sort(), [
    '',
    'etc/nginx/a.conf',
    'etc/nginx/sites/b.conf',
  ]);
  t.equal(
    run('stat', '-c', '%a %y', `${world.restored}/etc/nginx`),
    run('stat', '-c', '%a %y', `${world.source}/etc/nginx`),
  );
  await t.rejects(world.restore({ paths: ['/no/such'] }), { code: 'PATH_NOT_FOUND' });
});

t.test('part of a hard-link group is linked among itself', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/a`, 'shared');
  for (const name of ['b', 'c', 'd']) linkSync(`${world.source}/a`, `${world.source}/${name}`);
  await world.backUp();
  await world.restore({ paths: [`${world.source}/b`, `${world.source}/d`] });
  const b = lstatSync(`${world.restored}/b`);
  t.equal(b.nlink, 2);
  t.equal(lstatSync(`${world.restored}/d`).ino, b.ino);
});

t.test('a sparse file stays sparse when it is replaced', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/large`, 'start');
  truncateSync(`${world.source}/large`, 300_000_000);
  writeFileSync(`${world.source}/small`, 'start');
  truncateSync(`${world.source}/small`, 900_000);
  await world.backUp();
  mkdirSync(world.restored, { recursive: true });
  writeFileSync(`${world.restored}/large`, 'other');
  await world.restore({ verifies: true });
  t.same(await compareTrees(world.source, world.restored), []);
  t.ok(lstatSync(`${world.restored}/large`).blocks < 100);
  t.ok(lstatSync(`${world.restored}/small`).blocks < 100);
});

t.test('a dry run says what it would do and does nothing', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  writeFileSync(`${world.source}/folder/file`, 'x');
  await world.backUp();
  const fresh = await world.restore({ isDryRun: true });
  t.equal(fresh.report.files, 1);
  t.throws(() => lstatSync(world.back), { code: 'ENOENT' });
  await world.restore();
  writeFileSync(`${world.restored}/folder/file`, 'changed');
  writeFileSync(`${world.restored}/stray`, 'x');
  const before = run('find', world.back, '-printf', '%p %T@ %C@ %i\n');
  const { report } = await world.restore({ isDryRun: true, deletes: true });
  t.equal(run('find', world.back, '-printf', '%p %T@ %C@ %i\n'), before);
  const told = report.planned.map(({ path, change }) => `${change} ${path.toString().replace(/.*\//, '')}`);
  t.same(
    told,
    ['replace file', 'delete stray', 'attributes source'],
    'the last for the time that the stray gave it',
  );
  t.equal(report.deleted, 1);
  t.equal(readFileSync(`${world.restored}/folder/file`, 'utf8'), 'changed');
});
