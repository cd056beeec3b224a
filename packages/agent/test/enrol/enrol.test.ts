import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { startSshd, type SshAccount, type SshServer } from '../../../../test/harness/sshd.ts';
import { openAccount } from '../../src/adapters/open-account.ts';
import { linuxEnrolment } from '../../src/adapters/ssh/enrolment.ts';
import { parseAccountAddress } from '../../src/config/account-address.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { enrol, type Enrolled, type EnrolRequest } from '../../src/enrol/enrol.ts';
import { AgentError } from '../../src/errors.ts';
import type { Enrolment } from '../../src/ports/enrolment.ts';
import type { Progress } from '../../src/ports/progress.ts';

class Person {
  readonly questions: string[] = [];
  readonly told: string[] = [];
  readonly progress: Progress = {
    stage: () => undefined,
    expect: () => undefined,
    advance: () => undefined,
    message: (text) => this.told.push(text),
    warning: (text) => this.told.push(text),
  };
  readonly #answer: 'yes' | 'no' | 'absent';

  constructor(answer: 'yes' | 'no' | 'absent') {
    this.#answer = answer;
  }

  async enrol(
    request: Partial<EnrolRequest> & Pick<EnrolRequest, 'account' | 'configFile'>,
    changed: Partial<Enrolment> = {},
  ): Promise<Enrolled> {
    const { signal } = new AbortController();
    const { progress } = this;
    return enrol(
      {
        identityFile: undefined,
        hostKey: undefined,
        acceptHostKey: false,
        sources: ['/etc'],
        transport: undefined,
        stateDir: '/var/lib/bakker',
        ...request,
      },
      {
        enrolment: {
          ...linuxEnrolment({ openAccount: (config) => openAccount(config, { signal, progress }), signal }),
          ...changed,
        },
        progress,
        confirm: async (question) => {
          this.questions.push(question);
          if (this.#answer !== 'yes') throw new AgentError('NOT_CONFIRMED', 'not confirmed');
        },
        mayAsk: this.#answer !== 'absent',
        keys: async () => {
          throw new Error('nothing is sealed here');
        },
      },
    );
  }
}

async function failureOf(promise: Promise<unknown>): Promise<AgentError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AgentError) return error;
    throw error;
  }
  throw new Error('it should have failed');
}

function target(server: SshServer, account: SshAccount, folder: string) {
  return {
    account: parseAccountAddress(account.address),
    configFile: join(folder, 'new', 'bakker.yaml'),
    hostKey: server.hostKeyFingerprint,
  };
}

t.test('a fresh server: key, question, line to add, and on the second call all is set up', async (t) => {
  await using server = await startSshd();
  const storage = await server.addAccount({ authorised: false });
  const { account, configFile } = target(server, storage, t.testdir());
  const person = new Person('yes');

  const refused = await failureOf(person.enrol({ account, configFile }));
  t.match(refused, { code: 'AUTHENTICATION_FAILED', exitStatus: 10 });
  t.match(person.told.join('\n'), server.hostKeyFingerprint, 'the fingerprint is shown');
  t.equal(person.questions.length, 1);
  t.match(refused.hint, `bakker init ${storage.address} --host-key ${server.hostKeyFingerprint}`);
  const key = join(configFile, '..', 'id_ed25519');
  t.equal((await stat(key)).mode & 0o777, 0o600);
  t.same((await readdir(join(configFile, '..'))).sort(), ['id_ed25519', 'id_ed25519.pub']);

  const line = person.told.find((text) => text.startsWith('restrict,')) ?? '';
  await storage.authorise([line]);
  const keyBefore = await readFile(key);
  const result = await person.enrol({ account, configFile, hostKey: server.hostKeyFingerprint });
  t.same(result, {
    account: storage.address,
    configFile,
    identityFile: key,
    hostKey: server.hostKeyFingerprint,
    created: [configFile],
    nextStep: `bakker backup --config ${configFile}`,
  });
  t.same(await readFile(key), keyBefore, 'the key is kept');
  t.equal((await stat(configFile)).mode & 0o777, 0o600);
  t.equal((await stat(join(configFile, '..'))).mode & 0o777, 0o755);
  const config = parseConfig(await readFile(configFile, 'utf8'), configFile);
  t.match(config, { account, ssh: { identityFile: key, hostKey: server.hostKeyFingerprint } });
  t.same(
    config.sources.map(({ path }) => path),
    ['/etc'],
  );
  t.same(
    (await readdir(join(configFile, '..'))).sort(),
    ['bakker.yaml', 'id_ed25519', 'id_ed25519.pub'],
    'nothing temporary is left',
  );
});

t.test('a second account: each command that is printed names its places, and its timer', async (t) => {
  await using server = await startSshd();
  const storage = await server.addAccount({ authorised: false });
  const folder = t.testdir();
  const places = { configFile: join(folder, 'second.yaml'), stateDir: join(folder, 'second state') };
  const flags = `--config ${places.configFile} --state '${places.stateDir}'`;
  const request = { ...target(server, storage, folder), ...places, timer: true };
  const person = new Person('yes');
  const refused = await failureOf(person.enrol(request));
  t.ok(refused.hint?.endsWith(` --timer ${flags}`), String(refused.hint));

  await storage.authorise([person.told.find((text) => text.startsWith('restrict,')) ?? '']);
  t.equal((await person.enrol(request)).nextStep, `bakker backup ${flags}`);
  t.equal((await person.enrol(request)).nextStep, `bakker backup ${flags}`, 'also when nothing is to change');
});

t.test('run again it changes nothing, not a byte, and keeps what was edited by hand', async (t) => {
  await using server = await startSshd();
  const storage = await server.addAccount();
  const request = { ...target(server, storage, t.testdir()), identityFile: storage.identityFile };
  const person = new Person('absent');
  await person.enrol(request);
  const edited = `${await readFile(request.configFile, 'utf8')}\n# mine\ninterval: 1h\n`;
  await writeFile(request.configFile, edited);
  for (const again of [request, { ...request, hostKey: undefined, identityFile: undefined, sources: [] }]) {
    t.same((await person.enrol(again)).created, []);
    t.equal(await readFile(request.configFile, 'utf8'), edited);
  }
});

t.test('a configuration for another account, or that says otherwise, is left as it is', async (t) => {
  await using server = await startSshd();
  const storage = await server.addAccount();
  const request = { ...target(server, storage, t.testdir()), identityFile: storage.identityFile };
  const person = new Person('absent');
  await person.enrol(request);
  const before = await readFile(request.configFile, 'utf8');
  const other = await server.addAccount();
  for (const [changes, message] of [
    [{ account: parseAccountAddress(other.address) }, /already names another account/],
    [{ identityFile: other.identityFile }, /identity is .*, not /],
    [{ hostKey: `SHA256:${'A'.repeat(43)}` }, /host-key is .*, not /],
    [{ sources: ['/srv'] }, /sources lacks \/srv/],
    [{ transport: 'openssh' }, /transport is ssh2, not openssh/],
  ] as const) {
    const failure = await failureOf(person.enrol({ ...request, ...changes }));
    t.match(failure, { code: 'CONFIG_INVALID', exitStatus: 2, message });
  }
  t.equal(await readFile(request.configFile, 'utf8'), before);
});

t.test('unattended: the host key needs a word, by fingerprint or by acceptance', async (t) => {
  await using server = await startSshd();
  const storage = await server.addAccount();
  const { account, configFile } = target(server, storage, t.testdir());
  const { identityFile } = storage;
  const person = new Person('absent');
  const silent = await failureOf(person.enrol({ account, configFile, identityFile }));
  t.match(silent, { code: 'NOT_CONFIRMED', hint: `--host-key ${server.hostKeyFingerprint}` });
  const wrong = await failureOf(
    person.enrol({ account, configFile, identityFile, hostKey: `SHA256:${'A'.repeat(43)}` }),
  );
  t.match(wrong, { code: 'HOST_KEY_CHANGED', exitStatus: 10 });
  await t.rejects(
    stat(configFile),
    { code: 'ENOENT' },
    'nothing is written for a storage that was not trusted',
  );
  const result = await person.enrol({ account, configFile, identityFile, acceptHostKey: true });
  t.equal(result.hostKey, server.hostKeyFingerprint);
  t.same(person.questions, []);
});

t.test(
  'a key with a passphrase is refused at once by its own way out, not by a line for the storage',
  async (t) => {
    await using server = await startSshd();
    const storage = await server.addAccount();
    const { account, configFile } = target(server, storage, t.testdir());
    const identityFile = join(dirname(configFile), 'locked');
    await mkdir(dirname(identityFile), { recursive: true });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', identityFile]);
    const person = new Person('absent');
    const failure = await failureOf(person.enrol({ account, configFile, identityFile, acceptHostKey: true }));
    t.match(failure, { code: 'AUTHENTICATION_FAILED', message: /passphrase/, hint: /a key without one/ });
    t.notMatch(person.told.join('\n'), /authorized_keys/);
  },
);

t.test('a no to the fingerprint stops before anything is sent', async (t) => {
  await using server = await startSshd({ extraLines: ['LogLevel VERBOSE'] });
  const storage = await server.addAccount();
  const { account, configFile } = target(server, storage, t.testdir());
  const failure = await failureOf(
    new Person('no').enrol({ account, configFile, identityFile: storage.identityFile }),
  );
  t.match(failure, { code: 'NOT_CONFIRMED' });
  t.notMatch(server.log(), /Accepted publickey/);
  await t.rejects(stat(configFile), { code: 'ENOENT' });
});

t.test('a chrooted account, and the system ssh as transport', async (t) => {
  await using server = await startSshd();
  const storage = await server.addAccount({ chroot: true, keyOptions: 'restrict,command="internal-sftp"' });
  const request = { ...target(server, storage, t.testdir()), identityFile: storage.identityFile };
  const result = await new Person('absent').enrol({ ...request, transport: 'openssh' });
  t.equal(result.account, storage.address);
  t.match(await readFile(request.configFile, 'utf8'), /^transport: openssh$/m);
});

t.test('a storage that can not be written is told, and no configuration is made', async (t) => {
  await using server = await startSshd();
  const storage = await server.addAccount();
  const request = { ...target(server, storage, t.testdir()), identityFile: storage.identityFile };
  await chmod(storage.folder, 0o500);
  const failure = await failureOf(new Person('absent').enrol(request));
  t.equal(failure.code, 'STORAGE_REFUSED');
  await t.rejects(stat(request.configFile), { code: 'ENOENT' });
});

t.test('an SFTP server without hard links and rename is named unfit', async (t) => {
  await using server = await startSshd({
    sftpSubsystem: false,
    extraLines: ['Subsystem sftp internal-sftp -P hardlink,symlink,posix-rename'],
  });
  const storage = await server.addAccount();
  const request = { ...target(server, storage, t.testdir()), identityFile: storage.identityFile };
  const failure = await failureOf(new Person('absent').enrol(request));
  t.match(failure, { code: 'STORAGE_UNFIT', exitStatus: 2, message: /hard links/ });
  await t.rejects(stat(request.configFile), { code: 'ENOENT' });
});

t.test('a local account: its folder is made, private, and tried', async (t) => {
  const folder = t.testdir({ source: { file: 'x' } });
  const account = parseAccountAddress(join(folder, 'deep', 'runs'));
  const configFile = join(folder, 'bakker.yaml');
  const person = new Person('absent');
  const sources = [join(folder, 'source')];
  const result = await person.enrol({ account, configFile, sources });
  t.same(result.created, [join(folder, 'deep', 'runs'), configFile]);
  t.equal((await stat(join(folder, 'deep', 'runs'))).mode & 0o777, 0o700);
  t.match(result, { identityFile: null, hostKey: null });
  t.same((await person.enrol({ account, configFile, sources })).created, []);
  const completed = sources.map((source) => `${source}/`); // as a shell does it
  t.same((await person.enrol({ account, configFile, sources: completed })).created, []);
});

t.test('a local account that lies within a source is refused; SSH flags are too', async (t) => {
  const folder = t.testdir({});
  await mkdir(join(folder, 'runs'));
  const account = parseAccountAddress(join(folder, 'runs'));
  const configFile = join(folder, 'bakker.yaml');
  const person = new Person('absent');
  const within = await failureOf(person.enrol({ account, configFile, sources: [folder] }));
  t.match(within, { code: 'USAGE', message: /where the runs go/ });
  const flagged = await failureOf(person.enrol({ account, configFile, acceptHostKey: true }));
  t.match(flagged, { code: 'USAGE', message: /--accept-host-key/ });
  const relative = await failureOf(person.enrol({ account, configFile, sources: ['etc'] }));
  t.match(relative, { code: 'USAGE', message: /not an absolute path/ });
});

t.test('a disk that is mounted within a source may take the runs', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16 << 20 });
  const configFile = join(t.testdir({}), 'bakker.yaml');
  const account = parseAccountAddress(join(disk.folder, 'runs'));
  await new Person('absent').enrol({ account, configFile, sources: ['/'] });
  const { sources } = parseConfig(await readFile(configFile, 'utf8'), configFile);
  t.same(
    sources.map(({ path }) => path),
    ['/'],
  );
});

t.test('without --source the usual folders that are there are written', async (t) => {
  const folder = t.testdir({});
  const configFile = join(folder, 'bakker.yaml');
  const account = parseAccountAddress(join(folder, 'runs'));
  await new Person('absent').enrol({ account, configFile, sources: [] });
  const { sources } = parseConfig(await readFile(configFile, 'utf8'), configFile);
  t.ok(sources.some(({ path }) => path === '/etc'));
  for (const { path } of sources) t.ok((await readdir(path)).length > 0, path);
});

t.test('an sshd that was told to read its configuration anew is given a moment', async (t) => {
  await using server = await startSshd();
  const account = await server.addAccount();
  const folder = account.identityFile.slice(0, account.identityFile.lastIndexOf('/'));
  const provision = {
    administrator: { user: 'root', host: 'storage', port: undefined },
    ...{ size: undefined, ceiling: undefined, backend: undefined, noRead: false, program: 'bakker-storage' },
  };
  let attempts = 0;
  const answer = JSON.stringify({ account: account.user, hostKeys: [server.hostKeyFingerprint] });
  const restarting: Partial<Enrolment> = {
    runBySsh: async () => ({ status: 0, stdout: answer, stderr: '' }),
    probe: async () => {
      if (++attempts < 3) throw new AgentError('STORAGE_UNREACHABLE', 'the connection was refused');
      return {
        hardLinks: true,
        atomicRename: true,
        symlinks: true,
        fsync: true,
        serverSideCopy: true,
        anyBytesInNames: true,
      };
    },
  };
  const place = { ...target(server, account, `${folder}/restarting`), identityFile: account.identityFile };
  const person = new Person('absent');
  await failureOf(person.enrol(place, restarting));
  t.equal(attempts, 1, 'without that, an answer is an answer');
  attempts = 0;
  await person.enrol({ ...place, provision }, restarting);
  t.equal(attempts, 3);
});
