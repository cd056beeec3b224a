import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { startSshd } from '../../../../test/harness/sshd.ts';

const BAKKER = fileURLToPath(new URL('../../bin/bakker', import.meta.url));

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bakker(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(BAKKER, args, (error, stdout, stderr) => {
      resolve({
        status: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      });
    });
    child.stdin?.end();
  });
}

t.test('from nothing to a working account, by the words that the program prints', async (t) => {
  await using server = await startSshd();
  const account = await server.addAccount({ authorised: false });
  const folder = t.testdir({ source: { file: 'x' } });
  const configFile = join(folder, 'etc', 'bakker.yaml');
  const common = ['--config', configFile, '--state', join(folder, 'state')];
  const source = ['--source', join(folder, 'source')];

  const unknown = await bakker('init', account.address, ...source, ...common);
  t.equal(unknown.status, 1, 'nobody is there to confirm the host key');
  t.match(unknown.stderr, server.hostKeyFingerprint);

  const pin = ['--host-key', server.hostKeyFingerprint];
  const refused = await bakker('init', account.address, ...pin, ...source, ...common, '--yes');
  t.equal(refused.status, 10);
  const line = /^restrict,.*$/m.exec(refused.stderr)?.[0] ?? '';
  t.match(line, /^restrict,command="internal-sftp" ssh-ed25519 \S+ bakker$/);
  t.notMatch(refused.stderr, /\n {4}at /, 'no stack');

  await account.authorise([line]);
  const done = await bakker('init', account.address, ...pin, ...source, ...common, '--json');
  t.equal(done.status, 0, done.stderr);
  t.same(JSON.parse(done.stdout), {
    account: account.address,
    configFile,
    identityFile: join(folder, 'etc', 'id_ed25519'),
    hostKey: server.hostKeyFingerprint,
    created: [configFile],
    nextStep: `bakker backup ${common.join(' ')}`,
  });

  const before = await readFile(configFile);
  const again = await bakker('init', account.address, ...common);
  t.equal(again.status, 0);
  t.match(again.stdout, /Nothing to change/);
  t.same(await readFile(configFile), before);

  const other = await bakker('init', '/srv/elsewhere', ...common);
  t.equal(other.status, 2);

  const healthy = await bakker('doctor', '--json', ...common);
  t.equal(healthy.status, 0, healthy.stdout);
  for (const finding of JSON.parse(healthy.stdout)) t.match(finding, { check: String, detail: String });

  await server.restart({ newHostKey: true });
  const changed = await bakker('init', account.address, ...common);
  t.equal(changed.status, 10);
  t.match(changed.stderr, server.hostKeyFingerprint);
  const sick = await bakker('doctor', ...common);
  t.equal(sick.status, 10);
  t.match(sick.stdout, /^FAIL {2}storage: .*host key/m);
});

t.test('words that make no sense end with 2', async (t) => {
  const config = ['--config', join(t.testdir(), 'bakker.yaml')];
  for (const args of [
    ['init'],
    ['init', 'not an address'],
    ['init', 'u@h:/p', '--host-key', 'md5:xx'],
    ['init', 'u@h:/p', '--transport', 'telnet'],
    ['init', 'u@h:/p', '--identity', 'relative'],
  ]) {
    t.equal((await bakker(...args, ...config)).status, 2, args.join(' '));
  }
});
