import { PACKET } from '@bakker/sftp';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import t from 'tap';
import { RIGHTS, provisionAccount, publishRun, script, sessionsOf } from '../harness/hostile-world.ts';
import { RawSftp, string, u32 } from '../harness/raw-sftp.ts';
import type { RawReply } from '../harness/raw-sftp.ts';
import { addShellAccount } from '../harness/shell-account.ts';
import { startSshd } from '../harness/sshd.ts';
import { startStorageMachine } from '../harness/storage-machine.ts';

/** Type and body of an answer, without what was asked for. */
function shown(reply: RawReply | undefined, asked: readonly string[]): string {
  const text = `${reply?.type} ${reply?.body.toString('latin1')}`;
  return asked.reduce((shorter, name) => shorter.replaceAll(name, 'NAME'), text);
}

t.test(
  'who knows every name of another account learns nothing of it, not even whether it is there',
  async (t) => {
    await using machine = await startStorageMachine();
    const [one, other] = [await provisionAccount(machine), await provisionAccount(machine)];
    const own = await publishRun(one.keys.backup, { 'folder/file': 'mine' });
    // More than the account that asks will have: the last name is none of its own.
    for (let count = 0; count < 3; count++) await publishRun(other.keys.backup, { 'folder/file': 'theirs' });
    const theirs = await publishRun(other.keys.backup, { 'folder/file': 'theirs', secret: 'theirs' });
    await using writing = await RawSftp.greeted(other.keys.backup);
    const { token } = await writing.told('begin@bakker', { parent: null });

    const missing = `${theirs.slice(0, -2)}77`;
    // Each name that is there, and one like it that is not.
    const pairs: readonly (readonly [string, string])[] = [
      [`/../${other.name}`, '/../bkzzzzzzzz'],
      [`/../${other.name}/${theirs}/secret`, `/../${other.name}/${theirs}/secreT`],
      [`${other.folder}/${theirs}`, `${machine.rootDir}/bkzzzzzzzz/${theirs}`],
      [`${other.folder}/${theirs}/secret`, `${other.folder}/${theirs}/secreT`],
      [`../../../../../..${other.folder}/.bakker/id`, `../../../../../..${other.folder}/.bakker/iD`],
      [`/${own}/../../${other.name}/${theirs}/secret`, `/${own}/../../bkzzzzzzzz/${theirs}/secret`],
      [`/${other.name}`, '/bkzzzzzzzz'],
      [`/${theirs}`, `/${missing}`],
      [`/${theirs}/secret`, `/${missing}/secret`],
      ['/etc/passwd', '/etc/passwT'],
      [`${machine.etc}/keys/${other.name}`, `${machine.etc}/keys/bkzzzzzzzz`],
      [`/proc/self/root${other.folder}`, '/proc/self/rooT'],
      [String(token), 'f'.repeat(32)],
    ];
    for (const right of RIGHTS) {
      await t.test(`with the key for ${right}`, async (t) => {
        await using raw = await RawSftp.greeted(one.keys[right]);
        if (right !== 'restore') await raw.told('begin@bakker', { parent: own });
        const askAll = (name: string): Promise<(RawReply | undefined)[]> => {
          const path = string(name);
          const bare = name.replace(/^\//, '');
          const json = (verb: string, value: object): Promise<RawReply | undefined> => raw.json(verb, value);
          return Promise.all([
            ...[PACKET.LSTAT, PACKET.STAT, PACKET.OPENDIR, PACKET.READLINK].map((type) =>
              raw.request(type, path),
            ),
            raw.request(PACKET.OPEN, path, u32(1), u32(0)),
            raw.request(PACKET.REALPATH, path),
            raw.request(PACKET.EXTENDED, string('statvfs@openssh.com'), path),
            ...['get@bakker', 'get-many@bakker'].flatMap((verb) =>
              [name, bare].map((text) => raw.extended(verb, Buffer.concat([string(text), u32(1000)]))),
            ),
            json('usage@bakker', { runs: [bare] }),
            json('list@bakker', { after: bare }),
            json('begin@bakker', { parent: bare }),
            ...(right === 'restore' ? [] : linkedFrom(raw, bare)),
          ]);
        };
        for (const [there, nowhere] of pairs) {
          const [a, b] = [await askAll(there), await askAll(nowhere)];
          // The space of the volume is what anybody may know, and it changes all the time.
          const told = (replies: (RawReply | undefined)[], name: string): string[] =>
            replies
              .filter((_, index) => index !== 6)
              .map((reply) => shown(reply, [name, name.replace(/^\//, '')]));
          const normal = (texts: string[]): string[] => texts.map((text, index) => (index === 5 ? '' : text));
          t.same(normal(told(a, there)), normal(told(b, nowhere)), there);
          for (const text of told(a, there)) t.notMatch(text, /theirs/);
        }
        const begun = await RawSftp.greeted(one.keys[right]);
        const { runs } = await begun.told('list@bakker', {});
        t.notMatch(JSON.stringify(runs), theirs);
        await begun.kill();
      });
    }
  },
);

/** Links from folders that are not the account's, in each of the ways to name them. */
function linkedFrom(raw: RawSftp, name: string): Promise<RawReply | undefined>[] {
  const folder = /^[0-9a-z_]{1,64}$/.test(name) ? name : 'none';
  return ['secret', 'folder/file'].map((from) =>
    raw.extended(
      'tree@bakker',
      script((tree) => tree.link(Buffer.from('taken'), folder, Buffer.from(from))),
    ),
  );
}

t.test("the kernel keeps an account's user out of all others, should our program fail to", async (t) => {
  await using machine = await startStorageMachine();
  const [one, other] = [await provisionAccount(machine), await provisionAccount(machine)];
  const run = await publishRun(other.keys.backup, { secret: 'theirs' });
  const asUser = (...argv: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync('setpriv', [`--reuid=${one.name}`, `--regid=${one.name}`, '--init-groups', ...argv], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    });
  t.match(asUser('id').stdout, new RegExp(one.name));
  t.equal(asUser('ls', one.folder).status, 0, 'it is that user');
  for (const path of ['', `/${run}`, `/${run}/secret`, '/.bakker/id', `/${run}.impl`]) {
    const read = asUser('cat', `${other.folder}${path}`);
    t.match(read.stderr, /Permission denied/, `read ${path}`);
    t.match(asUser('touch', `${other.folder}${path}`).stderr, /Permission denied/, `touch ${path}`);
    t.match(
      asUser('ln', `${other.folder}${path}`, `${one.folder}/x`).stderr,
      /denied|not permitted|not allowed/,
      path,
    );
  }
  t.match(asUser('ls', machine.rootDir).stderr, /Permission denied/, 'nor does it learn their names');
  t.match(asUser('cat', `${machine.etc}/keys/${other.name}`).stderr, /Permission denied/);
  t.match(asUser('sh', '-c', `echo >> ${machine.etc}/keys/${one.name}`).stderr, /Permission denied/);
  t.match(asUser('sh', '-c', `echo >> ${one.folder}/.bakker/account.yaml`).stderr, /Permission denied/);
});

t.test('sshd gives an account its one program, and nothing else of what it has', async (t) => {
  await using machine = await startStorageMachine();
  const [one, other] = [await provisionAccount(machine), await provisionAccount(machine)];
  await publishRun(one.keys.backup, { secret: 'x' });
  for (const right of RIGHTS) {
    await t.test(`the key for ${right}`, async (t) => {
      const key = one.keys[right].identityFile;
      const ssh = (args: readonly string[], command?: string) =>
        machine.ssh(one.name, key, { args, input: '', ...(command === undefined ? {} : { command }) });
      t.match(
        (await machine.ssh(other.name, key, { input: '' })).stderr,
        /Permission denied/,
        'no other account',
      );
      t.match((await machine.ssh('root', key, { input: '' })).stderr, /Permission denied/, 'nor root');
      for (const command of [
        'id',
        'sh',
        'bash -i',
        'cat /etc/passwd',
        'rsync --server .',
        'scp -f /etc/passwd',
      ]) {
        const tried = await ssh([], command);
        t.not(tried.status, 0, command);
        t.equal(tried.stdout, '', command);
      }
      t.match((await ssh(['-tt'])).stderr, /PTY allocation request failed/);
      for (const port of [22, machine.port]) {
        t.match(
          (await ssh(['-W', `127.0.0.1:${port}`])).stderr,
          /prohibited|open failed|forwarding failed/,
          'to a port',
        );
      }
      const strict = ['-N', '-o', 'ExitOnForwardFailure=yes'];
      for (const forward of [
        ['-R', '0:127.0.0.1:22'],
        ['-R', '0'],
        ['-R', `${machine.folder}/socket:127.0.0.1:22`],
      ]) {
        const tried = await ssh([...strict, ...forward]);
        t.match(tried.stderr, /forwarding failed/, forward.join(' '));
        t.not(tried.status, 0);
      }
      t.notOk(existsSync(`${machine.folder}/socket`));
      for (const subsystem of ['netconf', 'sh', '/bin/sh', 'sftp;id']) {
        const tried = await ssh(['-s'], subsystem);
        t.not(tried.status, 0, subsystem);
        t.equal(tried.stdout, '', subsystem);
      }
      const copied = spawnSync(
        'scp',
        [
          ...['-O', '-F', 'none', '-P', String(machine.port), '-i', key, '-o', 'StrictHostKeyChecking=no'],
          ...['-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
          ...['/etc/hostname', `${one.name}@127.0.0.1:planted`],
        ],
        { encoding: 'utf8' },
      );
      t.not(copied.status, 0, 'the scp of old');
    });
  }
  t.notOk(existsSync(`${one.folder}/planted`));
});

t.test('nothing of what a client says of its environment reaches the program', async (t) => {
  await using machine = await startStorageMachine();
  const account = await provisionAccount(machine);
  const agent = spawnSync(
    'sh',
    [
      '-c',
      'ssh-agent -s | sed -n "s/^SSH_AUTH_SOCK=\\([^;]*\\).*/\\1/p; s/^SSH_AGENT_PID=\\([0-9]*\\).*/\\1/p"',
    ],
    {
      encoding: 'utf8',
    },
  );
  const [socket = '', agentPid = ''] = agent.stdout.trim().split('\n');
  const evil = `${machine.folder}/evil.cjs`;
  await writeFile(evil, `require('fs').writeFileSync('/proc/self/comm', 'evil')`);
  const { backup } = account.keys;
  await using raw = RawSftp.connect(backup, {
    args: ['-A', '-X', '-o', `SetEnv=NODE_OPTIONS=--require=${evil} LC_EVIL=evil LANG=evil`],
    env: { SSH_AUTH_SOCK: socket, DISPLAY: ':77' },
  });
  await raw.init();
  const [pid] = sessionsOf(account.uid);
  const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  t.ok(
    environment.some((entry) => entry.startsWith('SSH_CONNECTION=')),
    'it was read',
  );
  t.same(
    environment.filter((entry) => /evil|AUTH_SOCK|DISPLAY|XAUTH|NODE_OPTIONS|SSH_USER_AUTH/.test(entry)),
    [],
  );
  process.kill(Number(agentPid));
});

t.test('nor where an administrator wrote the key file by hand, and sshd lets all of it pass', async (t) => {
  const names = ['NODE_OPTIONS', 'NODE_PATH', 'NODE_COMPILE_CACHE', 'NODE_V8_COVERAGE'];
  await using server = await startSshd({ extraLines: [`AcceptEnv ${names.join(' ')}`] });
  const account = await addShellAccount(server);
  const marker = `${account.folder}/executed`;
  const evil = `data:text/javascript,import('fs').then((fs)=>fs.writeFileSync('${marker}',''))`;
  const values = [`NODE_OPTIONS=--import=${evil}`, ...names.slice(1).map((name) => `${name}=/tmp/evil`)];
  const target = { port: server.port, user: account.user, identityFile: account.identityFile };
  await using raw = RawSftp.connect(target, { args: ['-o', `SetEnv=${values.join(' ')}`] });
  await raw.init();
  const [pid] = sessionsOf(statSync(account.folder).uid);
  t.notMatch(readFileSync(`/proc/${pid}/environ`, 'latin1'), /evil/);
  t.notOk(existsSync(marker), 'none of it is run');
});
