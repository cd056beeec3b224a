import { execFile } from 'node:child_process';
import { access, readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { startSshd, type SshAccount, type SshServer } from './sshd.ts';

const execute = promisify(execFile);

async function listBySftp(server: SshServer, account: SshAccount): Promise<string> {
  const options = ['-oBatchMode=yes', '-oStrictHostKeyChecking=no', '-oUserKnownHostsFile=/dev/null'];
  const target = `${account.user}@${server.host}:${account.path}`;
  const args = ['-q', '-b', '-', ...options, '-i', account.identityFile, '-P', String(server.port), target];
  const running = execute('sftp', args);
  // It may have ended already, which its exit status tells.
  running.child.stdin?.on('error', () => undefined).end('mkdir made\nls\n');
  return (await running).stdout;
}

t.test('an account of a private sshd takes files, in a chroot too', async (t) => {
  await using server = await startSshd();
  for (const chroot of [false, true]) {
    const account = await server.addAccount({ chroot });
    t.match(await listBySftp(server, account), /made/);
    t.same(await readdir(account.folder), ['made']);
  }
});

t.test('disposing leaves no listener, no user and no folder', async (t) => {
  const server = await startSshd();
  const account = await server.addAccount();
  await listBySftp(server, account);
  await server[Symbol.asyncDispose]();
  await t.rejects(listBySftp(server, account));
  await t.rejects(access(account.folder), { code: 'ENOENT' });
  t.notMatch(await readFile('/etc/passwd', 'utf8'), account.user);
});

t.test('it comes back on its port after a stop, and with another host key if asked', async (t) => {
  await using server = await startSshd();
  const account = await server.addAccount();
  const { port, hostKeyFingerprint } = server;
  await server.stop();
  await t.rejects(listBySftp(server, account));
  await server.restart();
  t.equal(server.port, port);
  t.equal(server.hostKeyFingerprint, hostKeyFingerprint);
  t.match(await listBySftp(server, account), /made/);
  await server.restart({ newHostKey: true });
  t.not(server.hostKeyFingerprint, hostKeyFingerprint);
});

t.test('what a killed process left is removed by the next one', async (t) => {
  const module = new URL('./sshd.ts', import.meta.url).href;
  const script = [
    `const { startSshd } = await import(${JSON.stringify(module)});`,
    'const server = await startSshd();',
    'const account = await server.addAccount();',
    'process.stdout.write(JSON.stringify({ user: account.user, folder: account.folder, port: server.port }));',
    "process.kill(process.pid, 'SIGKILL');",
  ].join('\n');
  const killed = execute(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', script]);
  const { stdout } = await killed.catch((error: unknown) => error as { stdout: string });
  const left: unknown = JSON.parse(stdout);
  if (typeof left !== 'object' || left === null) throw new Error('it said nothing');
  const { user, folder } = left as { user: string; folder: string };
  await using _next = await startSshd();
  await t.rejects(access(folder), { code: 'ENOENT' });
  t.notMatch(await readFile('/etc/passwd', 'utf8'), user);
});
