import { OPEN, listFolder, readAll } from '@bakker/sftp';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { VERB } from '@bakker/impl-format';
import { Shell, publishRun, statusOf, string, temporaryRoot } from './shell-client.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const bytes = (text: string) => Buffer.from(text, 'latin1');

async function names(shell: Shell, path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const items of listFolder(shell.client, bytes(path)))
    found.push(...items.map(({ name }) => name.toString('latin1')));
  return found.filter((name) => name !== '.' && name !== '..').sort();
}

/** An account with one run of one odd name, and things around it that are nobody's business. */
async function furnished(root: { path: string; account: string }): Promise<string> {
  const run = await publishRun(root.path, { 'etc/fstab': 'none /proc', 'etc/n\xff': 'odd' });
  mkdirSync(`${root.path}/server2/2024_01_01_01`, { recursive: true });
  writeFileSync(`${root.path}/server2/secret`, 'secret');
  writeFileSync(`${root.account}/lost+found`, 'secret');
  writeFileSync(`${root.account}/.bakker/agent.yaml`, 'sources: []');
  symlinkSync('/etc/passwd', `${root.account}/${run}/etc/out`);
  symlinkSync('..', `${root.account}/${run}/up`);
  symlinkSync('../../server2', `${root.account}/${run}/other`);
  return run;
}

t.test('a session sees runs, manifests, latest and receipts, and nothing else', async (t) => {
  using root = temporaryRoot('browse');
  const run = await furnished(root);
  await using shell = await Shell.open({ root: root.path, role: 'restore' });
  const { client } = shell;
  t.same(await names(shell, '/'), [run, `${run}.impl`, 'latest']);
  t.same(await names(shell, '.'), [run, `${run}.impl`, 'latest'], 'it begins at the account');
  t.same(await names(shell, '/.bakker'), ['receipts']);
  t.same(await names(shell, '/.bakker/receipts'), [`${run}.json`]);
  t.same(await names(shell, `/${run}/etc`), ['fstab', 'n\xff', 'out']);
  t.same(await names(shell, '/latest/etc'), ['fstab', 'n\xff', 'out']);
  t.equal((await readAll(client, bytes('/latest/etc/fstab'))).toString(), 'none /proc');
  t.equal((await readAll(client, bytes(`${run}/../${run}/./etc//fstab`))).toString(), 'none /proc');
  t.equal((await client.readlink(bytes('/latest'))).toString(), run);
  t.equal((await client.readlink(bytes(`/${run}/etc/out`))).toString(), '/etc/passwd');
  t.equal((await client.realpath(bytes('latest/../../..'))).toString(), '/');
  t.equal((await client.realpath(bytes('../x/./y/'))).toString(), '/x/y');
  t.equal((await client.lstat(bytes('/latest'))).permissions! & 0o170000, 0o120000);
  t.equal((await client.stat(bytes('/latest'))).permissions! & 0o170000, 0o040000);
  const get = (path: string, most = 100) =>
    shell.verb(VERB.get, Buffer.concat([string(path), Buffer.of(0, 0, 0, most)]));
  t.equal((await get(`${run}/etc/fstab`)).subarray(4).toString(), 'none /proc');
  t.equal(await statusOf(get(`${run}/etc/fstab`, 9)), 4, 'longer than asked');
  for (const path of ['.bakker/id', `${run}.impl`, `latest/etc/fstab`, 'etc'])
    t.equal(await statusOf(get(path)), 2, path);
  t.equal(await statusOf(get(`${run}/../../server2/secret`)), 5);
  for (const path of [
    ...[
      '/.bakker/id',
      '/.bakker/agent.yaml',
      '/.bakker/lock',
      '/.bakker/trash',
      '/lost+found',
      '/etc/passwd',
    ],
    ...[
      '/server2',
      '../server2/secret',
      '/server1',
      `/${run}/../server2`,
      `/${run}/none`,
      `/${run}/other/secret`,
    ],
    ...[`/${run}/up/${run}/etc/fstab`, `/${run}/etc/out/x`, `/${run}/etc/fstab/x`, '/latest/up/lost+found'],
  ]) {
    t.equal(await statusOf(client.lstat(bytes(path))), 2, `lstat ${path}`);
    t.equal(await statusOf(client.open(bytes(path), OPEN.READ)), 2, `open ${path}`);
    t.equal(await statusOf(client.opendir(bytes(path))), 2, `opendir ${path}`);
  }
  t.equal(await statusOf(client.open(bytes(`/${run}/etc/out`), OPEN.READ)), 2, 'a symlink is not followed');
  t.equal(await statusOf(client.opendir(bytes(`/${run}/up`))), 2);
  t.equal(await statusOf(client.open(bytes(`/${run}`), OPEN.READ)), 4, 'a folder is no file');
});

t.test('a key that may not read yields nothing of what is stored', async (t) => {
  using root = temporaryRoot('noread');
  const run = await furnished(root);
  await using shell = await Shell.open({ root: root.path, noRead: true });
  const { client } = shell;
  for (const path of [
    '/',
    `/${run}`,
    `/${run}/etc/fstab`,
    `/${run}.impl`,
    `/.bakker/receipts/${run}.json`,
    '/latest',
  ])
    for (const [name, ask] of [
      ['lstat', client.lstat(bytes(path))],
      ['stat', client.stat(bytes(path))],
      ['open', client.open(bytes(path), OPEN.READ)],
      ['opendir', client.opendir(bytes(path))],
      ['readlink', client.readlink(bytes(path))],
    ] as const)
      t.equal(await statusOf(ask), 3, `${name} ${path}`);
  t.equal((await shell.list({ receipts: true })).runs[0]?.run, run, 'it knows what it has made');
  const begun = await shell.begin(run);
  t.equal(begun.parent?.run, run);
  await shell.tree((script) => script.keepRest());
  t.equal(
    await statusOf(client.open(bytes(`/${begun.run}.incomplete/etc/fstab`), OPEN.READ)),
    3,
    'nor what it linked',
  );
});

t.test(
  "a folder with many names is listed in pieces, and OpenSSH's own client browses and fetches",
  async (t) => {
    using root = temporaryRoot('sftp');
    const run = await furnished(root);
    mkdirSync(`${root.account}/${run}/many`);
    for (let index = 0; index < 3000; index++) writeFileSync(`${root.account}/${run}/many/file-${index}`, '');
    await using shell = await Shell.open({ root: root.path });
    t.equal((await names(shell, `/${run}/many`)).length, 3000);
    const folder = mkdtempSync(`${root.path}/fetched-`);
    const server = `${process.execPath} --disable-warning=ExperimentalWarning ${MAIN} shell --root ${root.path} --account server1 --role restore`;
    const script = [
      'ls -1 /',
      'cd latest',
      'pwd',
      'ls -l etc',
      `get -r etc ${folder}`,
      'df',
      '-put /etc/passwd x',
      '-rm etc/fstab',
      'quit',
    ];
    const { stdout, stderr, status } = spawnSync('sftp', ['-D', server, '-b', '-'], {
      input: `${script.join('\n')}\n`,
      encoding: 'utf8',
    });
    t.equal(status, 0, stderr);
    t.match(stdout, new RegExp(`/${run}\\n/${run}.impl\\n/latest`));
    t.match(stdout, /Remote working directory: \/latest/);
    t.match(stdout, /-r-------- .* fstab/);
    t.match(stderr, /dest open .*: Permission denied/);
    t.match(stderr, /remote delete .*: Permission denied/);
    t.equal(readFileSync(`${folder}/etc/fstab`, 'utf8'), 'none /proc');
    t.same(readdirSync(`${root.account}/${run}/etc`).length, 3);
  },
);

t.test('an account is served to its own Unix user, who needs to see nothing of its root', async (t) => {
  using root = temporaryRoot('user');
  const uid = 54_321;
  execFileSync('chown', ['-R', `${uid}:${uid}`, root.account]);
  mkdirSync(`${root.path}/server2`, { mode: 0o700 });
  await using shell = await Shell.open({ root: root.path, uid });
  await shell.begin();
  await shell.put('a/file', 'content', { flags: 2 });
  await shell.publish({ files: 1, directories: 1, bytes: 7 });
  await shell.cleanUp();
  t.same(await names(shell, '/latest/a'), ['file']);
  t.equal(await statusOf(shell.client.opendir(bytes('/../server2'))), 2);
  const elsewhere = spawnSync(
    'env',
    [
      ...['-u', 'NODE_OPTIONS'], // by which tap follows every child; this user can't write its notes
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      MAIN,
      'shell',
      '--root',
      root.path,
      '--account',
      'server2',
      '--role',
      'backup',
    ],
    { uid, gid: uid, encoding: 'utf8', input: '' },
  );
  t.equal(elsewhere.status, 2);
  t.match(elsewhere.stderr, /the account server2 can't be opened: EACCES/);
});

t.test(
  'names of accounts that are none, people, and commands are turned away before anything is opened',
  (t) => {
    using root = temporaryRoot('turned');
    const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
      spawnSync(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', MAIN, 'shell', '--root', root.path, ...args],
        {
          encoding: 'utf8',
          input: '',
          env,
        },
      );
    for (const account of ['..', '.', '', 'a/b', '/etc', '.ssh', 'server1/../server2', 'a\nb'])
      t.equal(run(['--account', account, '--role', 'backup']).status, 2, JSON.stringify(account));
    t.equal(run(['--account', 'server1', '--role', 'admin']).status, 2);
    t.equal(run(['--account', 'server1']).status, 2);
    const ours = ['--account', 'server1', '--role', 'backup'];
    const command = run(ours, { SSH_ORIGINAL_COMMAND: 'touch /tmp/bakker-owned; sh' });
    t.equal(command.status, 13);
    t.match(
      command.stderr,
      /^bakker-storage: this account keeps backups: it serves SFTP, and neither a shell nor commands\n$/,
    );
    t.same(readdirSync(root.account), [], 'and nothing was made');
    t.equal(
      run([...ours, '-c', 'touch /tmp/bakker-owned'], { SSH_ORIGINAL_COMMAND: 'internal-sftp' }).status,
      0,
    );
    t.throws(() => readFileSync('/tmp/bakker-owned'), { code: 'ENOENT' });
    t.end();
  },
);
