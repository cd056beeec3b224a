import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { runTool } from '../../../../test/harness/processes.ts';
import { startSshd } from '../../../../test/harness/sshd.ts';
import { fetchHostKey } from '../../src/adapters/ssh/host-key.ts';
import { makeKeyPair } from '../../src/adapters/ssh/key-pair.ts';
import { connect, greet } from './with-sshd.ts';

const NO_ABORT = { signal: new AbortController().signal };

t.test('a made key pair logs in, is private, and is never overwritten', async (t) => {
  const path = process.env['PATH'];
  t.teardown(() => (process.env['PATH'] = path));
  for (const tool of ['ssh-keygen', 'ssh2']) {
    const folder = join(t.testdir(), 'new');
    const file = join(folder, 'id_ed25519');
    if (tool === 'ssh2') process.env['PATH'] = '/nonexistent';
    t.equal(await makeKeyPair(file, 'bakker@here'), true);
    process.env['PATH'] = path;
    t.equal((await stat(file)).mode & 0o777, 0o600);
    const publicKey = await readFile(`${file}.pub`, 'utf8');
    t.match(publicKey, /^ssh-ed25519 \S+ bakker@here\n$/, tool);
    const derived = await runTool('ssh-keygen', ['-y', '-f', file]);
    t.equal(derived.split(' ')[1]?.trim(), publicKey.split(' ')[1], 'ssh-keygen reads it');

    await using server = await startSshd();
    const account = await server.addAccount();
    await account.authorise([publicKey.trim()]);
    await using connection = await connect(server, account, { identityFile: file });
    t.equal((await greet(await connection.openSftpChannel()))[0], 2);

    const before = await readFile(file);
    t.equal(await makeKeyPair(file, 'other'), false);
    t.same(await readFile(file), before);
    t.equal(await readFile(`${file}.pub`, 'utf8'), publicKey);
    t.same((await readdir(folder)).sort(), ['id_ed25519', 'id_ed25519.pub']);
  }
});

t.test('a key that can not be written is told with its file', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file', 'id_ed25519');
  await t.rejects(makeKeyPair(file, 'x'), { code: 'STATE_UNUSABLE', message: file });
});

t.test('the host key is shown without a log-in, the ed25519 one first', async (t) => {
  const rsa = join(t.testdir(), 'rsa');
  await runTool('ssh-keygen', ['-q', '-t', 'rsa', '-N', '', '-f', rsa]);
  await using server = await startSshd({ extraLines: [`HostKey ${rsa}`] });
  t.same(await fetchHostKey({ host: 'localhost', port: server.port }, NO_ABORT), {
    type: 'ssh-ed25519',
    fingerprint: server.hostKeyFingerprint,
  });
  await server.stop();
  await t.rejects(fetchHostKey(server, NO_ABORT), { code: 'STORAGE_UNREACHABLE' });
});
