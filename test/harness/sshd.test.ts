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
  running.child.stdin?.end('mkdir made\nls\n');
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
