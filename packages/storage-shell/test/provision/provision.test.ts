import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import {
  chmod,
  chown,
  link,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
  rename,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { startStorageMachine } from '../../../../test/harness/storage-machine.ts';
import type { StorageMachine } from '../../../../test/harness/storage-machine.ts';
import { startSwapping } from '../../../../test/harness/swapper.ts';
import { linuxSystem } from '../../src/adapters/system/linux-system.ts';
import { StorageError } from '../../src/errors.ts';
import { parseAccountName } from '../../src/provision/account-name.ts';
import { changeQuota } from '../../src/provision/grow.ts';
import { hostKeyFingerprints } from '../../src/provision/host-keys.ts';
import { readPlaces } from '../../src/provision/places.ts';
import { provision } from '../../src/provision/provision.ts';
import { parsePublicKeys } from '../../src/provision/public-key.ts';
import type { System } from '../../src/ports/system.ts';

interface Printed {
  readonly changed: boolean;
  readonly hostKeys: readonly string[];
  readonly steps: readonly { step: string; result: string; commands: readonly string[] }[];
}

const printed = (text: string): Printed => JSON.parse(text) as Printed;

function user(name: string): { uid: number; gid: number; home: string; shell: string } | undefined {
  try {
    const fields = execFileSync('getent', ['passwd', name]).toString().trim().split(':');
    return { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5] ?? '', shell: fields[6] ?? '' };
  } catch {
    return undefined;
  }
}

/** All that a machine holds: names, modes, owners and contents of its files, and its users. */
async function stateOf(machine: StorageMachine): Promise<string[]> {
  const lines: string[] = [];
  for (const name of (await readdir(machine.folder, { recursive: true })).sort()) {
    const path = join(machine.folder, name);
    if (/sshd\.pid$|\/lock$|^ids/.test(name)) continue;
    const facts = statSync(path);
    lines.push(
      `${name} ${facts.mode.toString(8)} ${facts.uid}:${facts.gid} ${facts.isFile() ? await readFile(path, 'utf8') : ''}`,
    );
  }
  const below = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`:${machine.folder}/`));
  const groups = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${machine.group}:`));
  return [...lines, ...below, ...groups];
}

t.test(
  'a new account: user, closed folder, key out of its reach, and sshd that starts nothing but our program',
  async (t) => {
    await using machine = await startStorageMachine();
    const name = machine.newName();
    const key = await machine.newKey('a "comment"');
    const made = await machine.run(['provision', name, '--key', `${key.file}.pub`, '--size', '1G']);
    t.equal(made.status, 0, made.stderr);

    const account = user(name);
    t.match(account?.shell, /bakker-storage-login$/);
    t.match(
      readFileSync('/etc/shadow', 'utf8'),
      new RegExp(`^${name}:\\*:`, 'm'),
      'no password matches, and it is not locked',
    );
    const folder = statSync(join(machine.rootDir, name));
    t.same([folder.uid, folder.mode & 0o7777], [account?.uid, 0o700]);
    const keyFile = join(machine.etc, 'keys', name);
    t.same([statSync(keyFile).uid, statSync(keyFile).mode & 0o7777], [0, 0o640]);
    const policy = join(machine.rootDir, name, '.bakker', 'account.yaml');
    t.equal(statSync(policy).uid, 0);
    t.match(readFileSync(policy, 'utf8'), /limit: 1G/);

    const marker = join(machine.folder, 'executed');
    await writeFile(join(machine.folder, 'inject.cjs'), `require('fs').writeFileSync('${marker}', '')`);
    for (const command of [
      'id',
      'sh -c id',
      '/bin/sh',
      `shell --account root; id`,
      'scp -t /tmp',
      'internal-sftp; id',
    ]) {
      const tried = await machine.ssh(name, key.file, { command, input: '' });
      t.notMatch(tried.stdout, /uid=/, command);
    }
    await machine.ssh(name, key.file, {
      args: ['-o', `SetEnv=NODE_OPTIONS=--require=${machine.folder}/inject.cjs`],
      input: '',
    });
    t.notOk(existsSync(marker), 'the client’s environment reaches nothing');
    const terminal = await machine.ssh(name, key.file, { args: ['-tt'], input: '' });
    t.match(terminal.stderr, /PTY allocation request failed/);
    const forward = await machine.ssh(name, key.file, { args: ['-W', '127.0.0.1:22'], input: '' });
    t.match(forward.stderr, /forwarding failed|administratively prohibited|open failed/);
    const other = await machine.newKey();
    t.match((await machine.ssh(name, other.file)).stderr, /Permission denied/);
    t.match(
      (await machine.ssh(name, key.file, { args: ['-o', 'PreferredAuthentications=password'] })).stderr,
      /Permission denied \(publickey\)/,
    );
    t.match(machine.sshdLog(), /Received SIGHUP/, 'the running sshd was told');
  },
);

t.test('the login shell starts our forced command and refuses all else', async (t) => {
  const shell = linuxSystem().loginShell;
  const launcher = linuxSystem().launcher;
  const attempt = (...args: string[]): { status: number | null; out: string } => {
    try {
      return { status: 0, out: execFileSync(shell, args, { stdio: 'pipe' }).toString() };
    } catch (error) {
      const { status, stdout } = error as { status: number | null; stdout: Buffer };
      return { status, out: stdout.toString() };
    }
  };
  for (const args of [
    [],
    ['-c'],
    ['-c', 'id'],
    ['-c', launcher],
    ['-c', `${launcher} accounts`],
    ['-c', `${launcher} provision x`],
    ['-c', `${launcher} shell --account a; id`],
    ['-c', `${launcher} shell --account $(id)`],
    ['-c', `${launcher} shell --account a\nid`],
    ['-c', `${launcher} shell --account a|id`],
    ['-c', `/tmp${launcher} shell --account a`],
    ['-c', `${launcher}x shell --account a`],
    ['-l'],
    ['-c', 'id', 'x'],
  ]) {
    const { status, out } = attempt(...args);
    t.equal(status, 1, JSON.stringify(args));
    t.equal(out, '');
  }
  t.equal(attempt('-c', `${launcher} shell --help`).status, 0, 'and ours is started');
  t.end();
});

t.test('a second call changes nothing and says so; a half-made account is completed', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  const key = await machine.newKey();
  const call = ['provision', name, '--key', key.publicKey, '--size', '1G', '--json'];
  t.equal((await machine.run(call)).status, 0);
  const before = await stateOf(machine);
  const again = printed((await machine.run(call)).stdout);
  t.equal(again.changed, false);
  t.same(
    again.steps.filter(({ result }) => result !== 'already'),
    [],
  );
  t.same(again.hostKeys, [machine.hostKeyFingerprint]);
  t.same(await stateOf(machine), before);

  await rm(machine.dropIn);
  await rm(join(machine.etc, 'keys', name));
  await rm(join(machine.rootDir, name, '.bakker', 'account.yaml'));
  await chmod(join(machine.rootDir, name), 0o755);
  const mended = await machine.run(call);
  t.equal(mended.status, 0, mended.stderr);
  t.equal(printed(mended.stdout).changed, true);
  t.same(await stateOf(machine), before);
});

t.test('a dry run shows each command and does nothing', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  const before = await stateOf(machine);
  const shown = await machine.run(['provision', name, '--size', '1G', '--dry-run']);
  t.equal(shown.status, 0, shown.stderr);
  t.match(shown.stdout, /^useradd .* bk\w+$/m);
  t.match(shown.stdout, /^groupadd --system/m);
  t.match(shown.stdout, /Match Group/);
  if (!existsSync('/run/systemd/system'))
    t.match(shown.stdout, /^kill -HUP "\$\(cat .*sshd\.pid\)"$/m, 'what it would do on this machine');
  t.same(await stateOf(machine), before);
});

t.test('whatever fails, and wherever, nothing of the account is left', async (t) => {
  await using machine = await startStorageMachine();
  const places = await readPlaces(linuxSystem(), machine.etc);
  const keys = parsePublicKeys((await machine.newKey()).publicKey, 'test');
  const request = {
    name: parseAccountName(machine.newName()),
    rootDir: machine.rootDir,
    keys,
    reading: undefined,
    backend: 'dir',
    sizeBytes: 2 ** 30,
    ceilingBytes: undefined,
    vg: undefined,
    fs: undefined,
    groups: ['webs'],
    isDryRun: false,
  };
  const before = await stateOf(machine);
  let failures = 0;
  for (let failAt = 1; ; failAt++) {
    let changes = 0;
    let isUndoing = false;
    const real = linuxSystem();
    const counted =
      <Args extends unknown[], Value>(act: (...args: Args) => Promise<Value>, when: 'before' | 'after') =>
      async (...args: Args): Promise<Value> => {
        if (isUndoing) return act(...args);
        changes += 1;
        if (changes !== failAt) return act(...args);
        // Half of the faults come after the change was made: it has to be undone as well.
        if (when === 'after') await act(...args);
        isUndoing = true;
        throw new StorageError('FAILED', 'injected');
      };
    const when = failAt % 2 === 0 ? 'after' : 'before';
    const system: System = {
      ...real,
      run: counted((argv: readonly string[]) => real.run(argv), when),
      writeText: counted((...args: Parameters<System['writeText']>) => real.writeText(...args), when),
      makeFolder: counted((...args: Parameters<System['makeFolder']>) => real.makeFolder(...args), when),
      setOwner: counted((...args: Parameters<System['setOwner']>) => real.setOwner(...args), when),
      hangUp: counted((...args: Parameters<System['hangUp']>) => real.hangUp(...args), when),
    };
    const tools = {
      registry: { system, places },
      signal: new AbortController().signal,
      note: () => undefined,
    };
    try {
      await provision(request, tools);
      break;
    } catch (error) {
      if (!(error instanceof StorageError) || error.message !== 'injected') throw error;
      failures += 1;
      t.same(await stateOf(machine), before, `as before after a fault ${when} change ${failAt}`);
    }
  }
  t.ok(failures >= 12, `${failures} places to fail at`);
  t.ok(user(request.name), 'and without a fault it is made');
});

t.test('a drop-in that sshd would refuse, or not read, never stays', async (t) => {
  await using machine = await startStorageMachine();
  const main = join(machine.folder, 'sshd_config');
  const good = readFileSync(main, 'utf8');
  const before = await stateOf(machine);
  const call = ['provision', machine.newName(), '--size', '1G'];

  await writeFile(main, good.replace(/^Include.*$/m, ''));
  const unread = await machine.run(call);
  t.equal(unread.status, 1, unread.stderr);
  t.match(unread.stderr, /needs "Include/);

  await writeFile(main, `${good}NoSuchOption yes\n`);
  const broken = await machine.run(call);
  t.equal(broken.status, 1);
  t.match(broken.stderr, /NoSuchOption/i);

  await writeFile(main, good.replace(/^/, `Match User bk*\n  ForceCommand /bin/true\nMatch all\n`));
  const overruled = await machine.run(call);
  t.equal(overruled.status, 1);
  t.match(overruled.stderr, /forcecommand/);

  await writeFile(main, `${good}AllowUsers somebody\n`);
  const unnamed = await machine.run(call);
  t.match(unnamed.stderr, /AllowUsers/);
  await writeFile(main, `${good}DenyGroups ${machine.group.slice(0, 3)}*\n`);
  const denied = await machine.run(call);
  t.match(denied.stderr, /DenyGroups/);
  for (const end of [unread, broken, overruled, unnamed, denied]) t.notMatch(end.stderr, /could not undo/);
  await writeFile(main, good);
  t.same(await stateOf(machine), before);

  await writeFile(main, `${good}AllowUsers root bk*@127.0.0.0/8\n`);
  const named = await machine.run(call);
  t.equal(named.status, 0, named.stderr);
});

t.test(
  'folders that accounts pass through are opened, and taken from whoever else could change them',
  async (t) => {
    await using machine = await startStorageMachine();
    const keys = join(machine.etc, 'keys');
    await mkdir(keys);
    await mkdir(machine.rootDir);
    // As a umask of 077 and a careless hand leave them.
    for (const folder of [machine.etc, keys]) await chmod(folder, 0o700);
    await chmod(machine.rootDir, 0o777);
    await chown(machine.rootDir, 65534, 65534);
    const name = machine.newName();
    const key = await machine.newKey();
    const call = ['provision', name, '--key', key.publicKey];
    const before = await stateOf(machine);
    const dry = await machine.run([...call, '--dry-run']);
    t.match(dry.stdout, `chown root ${machine.rootDir}\n`);
    t.match(dry.stdout, `chmod go-w,go+x ${keys}\n`);
    t.same(await stateOf(machine), before);

    const made = await machine.run(call);
    t.equal(made.status, 0, made.stderr);
    const facts = [machine.etc, keys, machine.rootDir].map((folder) => statSync(folder));
    t.same(
      facts.map(({ uid, mode }) => [uid, mode & 0o7777]),
      [
        [0, 0o711],
        [0, 0o711],
        [0, 0o755],
      ],
    );
    t.notMatch((await machine.ssh(name, key.file, { input: '' })).stderr, /Permission denied/);

    const keyFile = join(keys, name);
    await chown(keyFile, 0, 0);
    t.match((await machine.ssh(name, key.file, { input: '' })).stderr, /Permission denied/);
    t.equal((await machine.run(call)).status, 0);
    t.notMatch((await machine.ssh(name, key.file, { input: '' })).stderr, /Permission denied/);
    t.equal(printed((await machine.run([...call, '--json'])).stdout).changed, false);
  },
);

t.test('an account that could not read its keys is not ready', async (t) => {
  await using machine = await startStorageMachine();
  await chmod(machine.folder, 0o700);
  const before = await stateOf(machine);
  const closed = await machine.run(['provision', machine.newName()]);
  t.equal(closed.status, 2, closed.stderr);
  t.match(closed.stderr, /can't read .*\/keys\/bk\w+\s+.*namei -l/);
  t.same(await stateOf(machine), before);
});

t.test('a host key of a kind that is not taken is left out, and the others are told', async (t) => {
  await using machine = await startStorageMachine();
  const real = linuxSystem();
  const places = await readPlaces(real, machine.etc);
  const dss = `ssh-dss ${Buffer.from('\0\0\0\x07ssh-dss\0\0\0\x01\x01', 'latin1').toString('base64')} old\n`;
  const system: System = {
    ...real,
    try: async (argv) => {
      const end = await real.try(argv);
      return { ...end, stdout: `hostkey ${machine.folder}/dsa_key\n${end.stdout}` };
    },
  };
  await writeFile(join(machine.folder, 'dsa_key.pub'), dss);
  t.same(await hostKeyFingerprints({ system, places }), [machine.hostKeyFingerprint]);
});

t.test('users and folders that are not ours are left alone', async (t) => {
  await using machine = await startStorageMachine();
  for (const name of ['root', 'daemon', 'nobody']) {
    const refused = await machine.run(['provision', name]);
    t.equal(refused.status, 1, name);
    t.match(refused.stderr, /no account of bakker/);
  }
  const name = machine.newName();
  await mkdir(join(machine.rootDir, name), { recursive: true });
  await chmod(machine.rootDir, 0o711);
  await writeFile(join(machine.rootDir, name, 'precious'), 'x');
  const before = await stateOf(machine);
  const taken = await machine.run(['provision', name]);
  t.match(taken.stderr, /is there, with files of user 0 /);
  t.same(await stateOf(machine), before);
  const linked = machine.newName();
  await symlink('/etc', join(machine.rootDir, linked));
  t.match((await machine.run(['provision', linked])).stderr, /is no folder/);
  t.equal(statSync('/etc').uid, 0);
  const plain = await machine.run(['accounts'], {
    through: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  });
  t.not(plain.status, 0, 'and only root may do any of it');
});

t.test('who took a name meanwhile keeps it, and a look that failed is no look', async (t) => {
  await using machine = await startStorageMachine();
  const places = await readPlaces(linuxSystem(), machine.etc);
  const account = machine.newName();
  await machine.run(['provision', account]);
  const real = linuxSystem();
  const attempt = (name: string, system: System): Promise<unknown> =>
    provision(
      {
        name: parseAccountName(name),
        rootDir: machine.rootDir,
        keys: [],
        reading: undefined,
        backend: 'dir',
        sizeBytes: undefined,
        ceilingBytes: undefined,
        vg: undefined,
        fs: undefined,
        groups: [],
        isDryRun: false,
      },
      { registry: { system, places }, signal: new AbortController().signal, note: () => undefined },
    );
  const before = await stateOf(machine);
  let looks = 0;
  const blind: System = {
    ...real,
    group: async (name) => (name === machine.group && looks++ === 0 ? undefined : real.group(name)),
  };
  await t.rejects(attempt(machine.newName(), blind), { message: /already exists/ });
  t.same(await stateOf(machine), before, 'the group of all accounts is not removed');
  t.ok(execFileSync('id', ['-nG', account]).toString().includes(machine.group));

  const taken = machine.newName();
  t.teardown(() => execFileSync('userdel', [taken]));
  const raced: System = {
    ...real,
    run: (argv) => {
      if (argv[0] === 'useradd') execFileSync('useradd', ['--no-create-home', taken]);
      return real.run(argv);
    },
  };
  await t.rejects(attempt(taken, raced), { message: /already exists/ });
  t.ok(user(taken), 'nor a user whom somebody else made');

  const tools = join(machine.folder, 'tools');
  await mkdir(tools);
  await writeFile(join(tools, 'getent'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  await t.rejects(linuxSystem({ searchFirst: tools }).user(account), { code: 'FAILED' });
});

t.test('a user that has the name of an account and is none is never touched', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  await machine.run(['provision', name]);
  // As one that somebody made after the account's was deleted.
  execFileSync('usermod', ['--comment', 'A Person', '--groups', '', name]);
  const { uid = 0 } = user(name) ?? {};
  const theirs = spawn('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'sleep', '1000']);
  t.teardown(() => theirs.kill('SIGKILL'));
  await delay(200);
  const removed = await machine.run(['deprovision', name, '--delete-data', '--yes']);
  t.equal(removed.status, 0, removed.stderr);
  t.equal(theirs.signalCode, null, 'what runs as that user goes on');
  t.ok(user(name));
  t.equal(JSON.parse((await machine.run(['accounts', '--json'])).stdout).length, 0);
});

/** An account that has a run, as it lies on the disks of a machine whose users are lost. */
async function accountWithoutUser(
  machine: StorageMachine,
): Promise<{ name: string; folder: string; uid: number }> {
  const name = machine.newName();
  await machine.run(['provision', name, '--size', '1G', '--key', (await machine.newKey()).publicKey]);
  const folder = join(machine.rootDir, name);
  const made = statSync(folder);
  execFileSync('install', ['-d', '-o', name, '-g', name, join(folder, '2024_04_18_01')]);
  await writeFile(join(machine.folder, 'agent.yaml'), 'sources: [/etc]\n');
  await machine.run(['config', name, '--set', join(machine.folder, 'agent.yaml')]);
  execFileSync('userdel', [name]);
  // Numbers that no system gives out by itself, so that neither the next user nor a test beside this one takes them.
  const uid = 1_000_000_000 + Math.floor(Math.random() * 1_000_000_000);
  execFileSync('chown', ['-R', `--from=${made.uid}`, String(uid), folder]);
  execFileSync('chown', ['-R', `--from=:${made.gid}`, `:${uid}`, folder]);
  return { name, folder, uid };
}

t.test('an account whose disks outlived the machine gets a user with the numbers that it had', async (t) => {
  await using machine = await startStorageMachine();
  const { name, folder, uid } = await accountWithoutUser(machine);
  const before = await stateOf(machine);
  const dry = await machine.run(['provision', name, '--dry-run']);
  t.match(dry.stdout, new RegExp(`^groupadd --gid ${uid} ${name}$`, 'm'));
  t.match(dry.stdout, new RegExp(`^useradd .*--uid ${uid} .*${name}$`, 'm'));
  t.same(await stateOf(machine), before);

  const made = await machine.run(['provision', name]);
  t.equal(made.status, 0, made.stderr);
  t.equal(user(name)?.uid, uid);
  t.equal(user(name)?.home, folder);
  t.equal(execFileSync('id', ['-gn', name]).toString().trim(), name);
  t.equal(statSync(join(folder, '.bakker/account.yaml')).uid, 0);
});

t.test('numbers that another has now are refused, and the commands of the hint work', async (t) => {
  await using machine = await startStorageMachine();
  const { name, folder, uid } = await accountWithoutUser(machine);
  const other = machine.newName();
  execFileSync('groupadd', ['--gid', String(uid), other]);
  execFileSync('useradd', [
    ...['--uid', String(uid), '--gid', other, '--home-dir', join(machine.folder, 'nowhere'), other],
  ]);
  const before = await stateOf(machine);
  const refused = await machine.run(['provision', name]);
  t.equal(refused.status, 1);
  t.match(refused.stderr, new RegExp(`files of user ${uid} and group ${uid}`));
  t.equal(user(name), undefined);
  t.same(await stateOf(machine), before);

  const commands = /account's: (.*); then run this again/.exec(refused.stderr)?.[1] ?? 'false';
  execFileSync('sh', ['-ec', commands]);
  const made = await machine.run(['provision', name]);
  t.equal(made.status, 0, made.stderr);
  const own = user(name)?.uid;
  t.not(own, uid);
  t.equal(statSync(join(folder, '2024_04_18_01')).uid, own);
  for (const file of ['account.yaml', 'agent.yaml']) {
    const { uid: owner, gid, mode } = statSync(join(folder, '.bakker', file));
    t.same([owner, gid, mode & 0o7777], [0, user(name)?.gid, 0o640], `${file} is root's again`);
  }
  t.match(readFileSync('/etc/shadow', 'utf8'), new RegExp(`^${name}:\\*:`, 'm'), 'it is not locked');
});

t.test('closing keeps the data and ends sessions and access; opening again needs no new key', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  const key = await machine.newKey();
  await machine.run(['provision', name, '--key', key.publicKey]);
  const data = join(machine.rootDir, name, '2024_04_18_01');
  await mkdir(data);
  const uid = user(name)?.uid ?? 0;
  const sleeper = execFileSync('sh', [
    '-c',
    `setpriv --reuid=${uid} --regid=${uid} --clear-groups sleep 1000 >/dev/null 2>&1 & echo $!`,
  ])
    .toString()
    .trim();

  t.equal((await machine.run(['deprovision', name])).status, 0);
  t.match((await machine.ssh(name, key.file)).stderr, /Permission denied/);
  t.ok(existsSync(data));
  t.ok(user(name), 'the user stays: nobody else gets its number, and so its files');
  t.notOk(
    existsSync(`/proc/${sleeper}/fd`) &&
      readFileSync(`/proc/${sleeper}/status`, 'utf8').includes('State:\tS'),
    'what it ran is ended',
  );
  t.match((await machine.run(['accounts'])).stdout, new RegExp(`${name} .*closed`));

  t.equal((await machine.run(['provision', name])).status, 0);
  t.notMatch((await machine.ssh(name, key.file, { input: '' })).stderr, /Permission denied/);

  const states = async (): Promise<unknown> =>
    (JSON.parse((await machine.run(['accounts', '--json'])).stdout) as { states: string[] }[])[0]?.states;
  t.same(await states(), ['ok']);
  const policy = join(machine.rootDir, name, '.bakker/account.yaml');
  const text = readFileSync(policy, 'utf8');
  await writeFile(policy, 'retentoin: {}\n');
  t.same(await states(), ['unreadable'], 'which says nothing of its volume');
  await writeFile(policy, text);
  await rename(join(machine.rootDir, name), join(machine.rootDir, 'elsewhere'));
  t.same(await states(), ['absent']);
  await rename(join(machine.rootDir, 'elsewhere'), join(machine.rootDir, name));
  const owner = statSync(join(machine.rootDir, name)).uid;
  execFileSync('userdel', [name]);
  t.same(await states(), ['no user'], 'nobody logs in');
  t.equal((await machine.run(['provision', name])).status, 0);
  t.same(await states(), ['ok']);
  t.equal(
    execFileSync('id', ['-u', name], { encoding: 'utf8' }).trim(),
    String(owner),
    'whose files they are',
  );

  const unsure = await machine.run(['deprovision', name, '--delete-data']);
  t.equal(unsure.status, 1, 'nobody said yes');
  t.ok(existsSync(data));
  const gone = await machine.run(['deprovision', name, '--delete-data', '--yes']);
  t.equal(gone.status, 0, gone.stderr);
  t.notOk(existsSync(join(machine.rootDir, name)));
  t.equal(user(name), undefined);
  t.same(await readdir(join(machine.etc, 'keys')), []);
  t.equal((await machine.run(['deprovision', name])).status, 1, 'there is no such account');
});

t.test('space is given, not taken, and sizes of accounts are changed by name only', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  await machine.run(['provision', name, '--size', '1G', '--ceiling', '3G']);
  const limit = async (): Promise<unknown> =>
    JSON.parse((await machine.run(['quota', name, '--json'])).stdout);
  t.match(await limit(), { limitBytes: 2 ** 30, ceilingBytes: 3 * 2 ** 30 });
  const other = await machine.run(['provision', name, '--size', '2G']);
  t.equal(other.status, 2);
  t.match(other.stderr, /leave --size out.*bakker-storage( --root \S+)? grow/);
  const less = await machine.run(['provision', name, '--size', '512M']);
  t.match(less, {
    status: 2,
    stderr: new RegExp(`bakker-storage( --root \\S+)? quota ${name} --limit 512M`),
  });
  // The line that init prints for an account that it can't open names a size, whatever the account has.
  const unlimited = machine.newName();
  await machine.run(['provision', unlimited]);
  t.match(await machine.run(['provision', unlimited, '--size', '1G']), {
    status: 2,
    stderr: /leave --size out/,
  });
  t.match(JSON.parse((await machine.run(['quota', unlimited, '--json'])).stdout), { limitBytes: null });
  t.equal((await machine.run(['grow', name, '2G'])).status, 0);
  t.match(await limit(), { limitBytes: 2 * 2 ** 30, ceilingBytes: 3 * 2 ** 30 });
  const shrunk = await machine.run(['grow', name, '1G']);
  t.equal(shrunk.status, 2);
  t.match(shrunk.stderr, /does not shrink/);
  t.equal((await machine.run(['grow', name, '5G'])).status, 0, 'beyond the ceiling, which follows');
  t.match(await limit(), { limitBytes: 5 * 2 ** 30, ceilingBytes: 5 * 2 ** 30 });
  t.equal((await machine.run(['quota', name, '--limit', '1G', '--reserve', '10M'])).status, 0);
  t.match(await limit(), { limitBytes: 2 ** 30, reserveBytes: 10 * 2 ** 20 });
  const dry = await machine.run(['quota', name, '--limit', '512M', '--dry-run']);
  t.match(dry.stdout, /account\.yaml\n {2}space\.limit: 512M/, 'it says what would be written');
  t.match(await limit(), { limitBytes: 2 ** 30 }, 'and writes nothing');
  const none = await machine.run(['quota', name, '--limit', '1G', '--dry-run']);
  t.match(none.stdout, /nothing to do/);

  // free is what a session would be given, and as `accounts` has it
  const shown = async (): Promise<unknown> =>
    (JSON.parse((await machine.run(['accounts', '--json'])).stdout) as { account: string }[]).find(
      ({ account }) => account === name,
    );
  const small = { usedBytes: null, freeBytes: 2 ** 20 };
  t.equal((await machine.run(['quota', name, '--limit', '1M'])).status, 0);
  t.match(await limit(), { ...small, limitBytes: 2 ** 20, grantedBytes: null }, 'not counted yet');
  t.match(await shown(), { ...small, limitBytes: 2 ** 20 });
  const hidden = join(machine.rootDir, name, '.bakker');
  await writeFile(join(hidden, 'usage.json'), JSON.stringify({ usedBytes: 2 ** 20 }));
  await writeFile(
    join(hidden, 'space-request.json'),
    JSON.stringify({ requestedBytes: 4 * 2 ** 20, grantedBytes: 4 * 2 ** 20 }),
  );
  const large = { usedBytes: 2 ** 20, freeBytes: 3 * 2 ** 20 };
  t.match(await limit(), { ...large, limitBytes: 2 ** 20, grantedBytes: 4 * 2 ** 20 });
  t.match(await shown(), { ...large, limitBytes: 4 * 2 ** 20 });
  const free = machine.newName();
  await machine.run(['provision', free]);
  t.match((await machine.run(['grow', free, '1G'])).stderr, /has no limit/);
  const xfs = await machine.run(['provision', machine.newName(), '--backend', 'xfs-quota', '--size', '1G']);
  t.equal(xfs.status, 2);
  t.match(xfs.stderr, /not on XFS|without project quotas/);
});

t.test('root writes, reads and removes nothing through a symlink that an account planted', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  await machine.run(['provision', name, '--size', '1G']);
  const victim = join(machine.folder, 'victim');
  await mkdir(victim);
  await writeFile(join(victim, 'agent.yaml'), 'sources: [/secret]\n');
  const hidden = join(machine.rootDir, name, '.bakker');
  await rm(hidden, { recursive: true });
  await symlink(victim, hidden);
  await writeFile(join(machine.folder, 'agent.yaml'), 'sources: [/etc]\n');
  for (const args of [
    ['quota', name, '--limit', '2G'],
    ['config', name, '--set', join(machine.folder, 'agent.yaml')],
    ['config', name, '--remove'],
    ['config', name, '--show'],
    ['provision', name, '--size', '1G'],
  ]) {
    const { status, stdout } = await machine.run(args);
    // Where nothing is to be written, it is as if nothing was there.
    if (!args.includes('--remove') && !args.includes('--show')) t.not(status, 0, args.join(' '));
    t.notMatch(stdout, 'secret');
  }
  t.same(await readdir(victim), ['agent.yaml']);
  t.equal(readFileSync(join(victim, 'agent.yaml'), 'utf8'), 'sources: [/secret]\n');
});

t.test('nor through one that comes and goes while root looks and writes', async (t) => {
  await using machine = await startStorageMachine();
  const name = parseAccountName(machine.newName());
  await machine.run(['provision', name, '--size', '1G']);
  const victim = join(machine.folder, 'victim');
  await mkdir(victim);
  const system = linuxSystem();
  const tools = {
    registry: { system, places: await readPlaces(system, machine.etc) },
    signal: new AbortController().signal,
    note: () => undefined,
  };
  const folder = join(machine.rootDir, name);
  await using swapping = await startSwapping({
    uid: user(name)?.uid ?? 0,
    folder,
    name: '.bakker',
    target: victim,
  });
  await swapping.started;
  let written = 0;
  for (let attempt = 1; attempt <= 100; attempt++) {
    try {
      const change = { limitBytes: attempt * 2 ** 20 };
      await changeQuota({ name, change, isDryRun: false }, tools);
      written++;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
    }
  }
  t.ok((await swapping.stop()) > 1000);
  t.ok(written > 0, `${written} times the folder was met`);
  t.same(await readdir(victim), []);
});

t.test('a file that has another name is not taken from whose it is', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  await machine.run(['provision', name]);
  const hidden = join(machine.rootDir, name, '.bakker');
  const other = join(machine.folder, 'other');
  const uid = user(name)?.uid ?? 0;
  await writeFile(other, 'x');
  await chown(other, uid, uid);
  await link(other, join(hidden, 'agent.yaml'));
  const taken = await machine.run(['provision', name]);
  t.equal(taken.status, 1);
  t.match(taken.stderr, /agent.yaml has another name/);
  t.equal(statSync(other).uid, uid);
});

t.test('what a server is told is stored as it was given, and only if it can be meant', async (t) => {
  await using machine = await startStorageMachine();
  const name = machine.newName();
  await machine.run(['provision', name]);
  const file = join(machine.folder, 'web.yaml');
  await writeFile(file, "# mine\nsources: [/srv]\nexclude: ['*.tmp']\n");
  t.equal((await machine.run(['config', name, '--set', file])).status, 0);
  const stored = join(machine.rootDir, name, '.bakker', 'agent.yaml');
  t.equal(readFileSync(stored, 'utf8'), readFileSync(file, 'utf8'));
  t.equal(statSync(stored).uid, 0);
  t.match((await machine.run(['config', name, '--show'])).stdout, '# mine');
  await writeFile(file, 'hooks: [rm]\n');
  const refused = await machine.run(['config', name, '--set', file]);
  t.equal(refused.status, 2);
  t.match(refused.stderr, /hooks: unknown key/);
  t.equal((await machine.run(['config', name, '--remove'])).status, 0);
  t.notOk(existsSync(stored));
});
