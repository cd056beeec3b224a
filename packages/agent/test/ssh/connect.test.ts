import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { runTool } from '../../../../test/harness/processes.ts';
import { startSshd } from '../../../../test/harness/sshd.ts';
import { AgentError } from '../../src/errors.ts';
import { connect, greet, readPacket, realpathRequest, TRANSPORTS } from './with-sshd.ts';

for (const transport of TRANSPORTS) {
  t.test(transport, async (t) => {
    t.test('the right key gets an SFTP server, plain and chrooted, with a restricted key too', async (t) => {
      await using server = await startSshd();
      for (const chroot of [false, true]) {
        const account = await server.addAccount({ chroot, keyOptions: 'restrict,command="internal-sftp"' });
        await using connection = await connect(server, account, { transport });
        const channel = await connection.openSftpChannel();
        const version = await greet(channel);
        t.equal(version[0], 2, 'SSH_FXP_VERSION');
        t.match(version.toString('latin1'), /posix-rename@openssh\.com/);
        channel.write(realpathRequest(7, account.path));
        t.match((await readPacket(channel)).toString('latin1'), account.path);
        const { sent, received } = connection.wireBytes();
        t.ok(sent > 0 && received > 0);
      }
    });

    t.test('several channels answer at the same time', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      await using connection = await connect(server, account, { transport });
      const channels = await Promise.all([1, 2, 3, 4].map(() => connection.openSftpChannel()));
      t.equal(new Set(channels).size, 4);
      const versions = await Promise.all(channels.map(greet));
      t.same(
        versions.map((version) => version[0]),
        [2, 2, 2, 2],
      );
    });

    t.test('another key is refused, and the user is named', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      const { identityFile } = await server.addAccount();
      const failure = await failureOf(connect(server, account, { transport, identityFile }));
      t.match(failure, { code: 'AUTHENTICATION_FAILED', exitStatus: 10 });
      t.match(failure.message, account.user);
    });

    t.test('a changed host key stops the log-in, and both fingerprints are told', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      const pinned = server.hostKeyFingerprint;
      await server.restart({ newHostKey: true });
      const failure = await failureOf(connect(server, account, { transport, hostKey: pinned }));
      t.match(failure, { code: 'HOST_KEY_CHANGED', exitStatus: 10 });
      t.match(failure.message, pinned);
      t.match(failure.message, server.hostKeyFingerprint);
    });

    t.test('a port where nothing listens, and a name that does not exist, are unreachable', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      await server.stop();
      const refused = await failureOf(connect(server, account, { transport }));
      t.match(refused, { code: 'STORAGE_UNREACHABLE', exitStatus: 10, message: /refused/ });
      const unknown = connect(server, account, { transport, address: { host: 'no-such-host.invalid' } });
      t.match(await failureOf(unknown), { code: 'STORAGE_UNREACHABLE', message: /no-such-host\.invalid/ });
    });

    t.test('something that is no SSH server is unreachable', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      const web = createServer((socket) =>
        socket.on('error', () => undefined).end('HTTP/1.1 400 no\r\n\r\n'),
      );
      await once(web.listen(0, '127.0.0.1'), 'listening');
      const { port } = web.address() as AddressInfo;
      const failure = await failureOf(connect(server, account, { transport, address: { port } }));
      t.match(failure, { code: 'STORAGE_UNREACHABLE' });
      web.close();
    });

    t.test('without the SFTP subsystem the account is unfit', async (t) => {
      await using server = await startSshd({ sftpSubsystem: false });
      const account = await server.addAccount();
      t.match(await channelFailure(connect(server, account, { transport })), {
        code: 'STORAGE_UNFIT',
        exitStatus: 2,
      });
    });

    t.test('a forced command that is no SFTP server makes the account unfit', async (t) => {
      await using server = await startSshd();
      for (const command of ['/bin/false', '/bin/echo hello']) {
        const account = await server.addAccount({ keyOptions: `command="${command}"` });
        const failure = await channelFailure(connect(server, account, { transport }));
        // ssh2 hands out what echo says, and the SFTP client quotes it.
        if (command === '/bin/false' || transport === 'openssh') {
          t.match(failure, { code: 'STORAGE_UNFIT' });
        }
        if (command !== '/bin/false' && transport === 'openssh')
          t.match(failure, { hint: /no shell start-up file that prints/ });
      }
    });

    for (const compress of [false, true])
      t.test(
        `a connection cut in mid-request rejects at once and says so, compressed: ${compress}`,
        async (t) => {
          await using server = await startSshd();
          const account = await server.addAccount();
          await using connection = await connect(server, account, { transport, compress });
          const channel = await connection.openSftpChannel();
          await greet(channel);
          const failed = once(channel, 'error');
          let sawEnd = false;
          channel.on('data', () => undefined).on('end', () => (sawEnd = true));
          for (let id = 1; id < 5_000; id += 1) channel.write(realpathRequest(id, '.'));
          await server.killConnections();
          const [error] = await failed;
          t.match(error, { code: 'CONNECTION_LOST', exitStatus: 10 });
          t.equal(sawEnd, false, 'a cut is no good-bye');
          // What a consumer may do who has not noticed yet.
          channel.write(realpathRequest(1, '.'));
          channel.read();
          channel.end();
          channel.destroy();
          await connection.closed;
          channel.destroy();
          await t.rejects(connection.openSftpChannel(), AgentError);
        },
      );

    t.test('an aborted signal closes an open connection, with its reason', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      const stop = new AbortController();
      await using connection = await connect(server, account, { transport, signal: stop.signal });
      const channel = await connection.openSftpChannel();
      await greet(channel);
      const failed = once(channel, 'error');
      const reason = new AgentError('INTERRUPTED', 'interrupted');
      stop.abort(reason);
      t.equal((await failed)[0], reason);
      await connection.closed;
    });

    t.test('an aborted signal ends a log-in that hangs', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      const silent = createServer();
      await once(silent.listen(0, '127.0.0.1'), 'listening');
      const { port } = silent.address() as AddressInfo;
      const stop = new AbortController();
      const connecting = connect(server, account, { transport, signal: stop.signal, address: { port } });
      const [socket] = (await once(silent, 'connection')) as [Socket];
      const reason = new AgentError('INTERRUPTED', 'interrupted');
      stop.abort(reason);
      t.equal(await failureOf(connecting), reason);
      socket.destroy();
      silent.close();
    });

    t.test('disposing ends it, twice is fine, and open channels see no failure', async (t) => {
      await using server = await startSshd();
      const account = await server.addAccount();
      const connection = await connect(server, account, { transport, compress: true });
      const channel = await connection.openSftpChannel();
      await greet(channel);
      const seen: unknown[] = [];
      channel.on('error', (error) => seen.push(error));
      await connection[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
      await connection.closed;
      channel.destroy();
      t.same(seen, []);
      await t.rejects(connection.openSftpChannel(), AgentError);
    });

    t.test('compression is used when asked for and there', async (t) => {
      for (const compression of ['yes', 'no'] as const) {
        await using server = await startSshd({ compression, extraLines: ['LogLevel DEBUG1'] });
        const account = await server.addAccount();
        for (const compress of [true, false]) {
          const before = server.log().length;
          await using connection = await connect(server, account, { transport, compress });
          await greet(await connection.openSftpChannel());
          const chosen = /kex: client->server .* compression: (\S+)/.exec(server.log().slice(before))?.[1];
          t.equal(chosen, compression === 'yes' && compress ? 'zlib@openssh.com' : 'none');
        }
      }
    });

    t.test('AES-GCM is chosen', async (t) => {
      await using server = await startSshd({ extraLines: ['LogLevel DEBUG1'] });
      await using _connection = await connect(server, await server.addAccount(), { transport });
      t.match(server.log(), /kex: client->server cipher: aes128-gcm@openssh\.com/);
    });
  });
}

t.test('ssh2', async (t) => {
  t.test('it refuses a storage whose host key is not pinned', async (t) => {
    await using server = await startSshd();
    const failure = await failureOf(connect(server, await server.addAccount(), { hostKey: undefined }));
    t.match(failure, { code: 'CONFIG_INVALID', hint: /bakker init/ });
  });

  t.test('the pin may be of a type that the storage does not prefer', async (t) => {
    const file = join(t.testdir(), 'rsa');
    await runTool('ssh-keygen', ['-q', '-t', 'rsa', '-N', '', '-f', file]);
    const hostKey = (await runTool('ssh-keygen', ['-l', '-f', `${file}.pub`])).split(' ')[1];
    await using server = await startSshd({ extraLines: [`HostKey ${file}`] });
    const account = await server.addAccount();
    await using connection = await connect(server, account, { hostKey });
    t.equal((await greet(await connection.openSftpChannel()))[0], 2);
    const failure = await failureOf(connect(server, account, { hostKey: `SHA256:${'A'.repeat(43)}` }));
    t.match(failure, { code: 'HOST_KEY_CHANGED' });
    t.match(failure.message, server.hostKeyFingerprint);
  });

  t.test('keys of every usual type log in', async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    for (const [type, ...more] of [['ed25519'], ['rsa'], ['ecdsa'], ['rsa', '-m', 'PEM']]) {
      const file = join(t.testdir(), 'key');
      await runTool('ssh-keygen', ['-q', '-t', String(type), ...more, '-N', '', '-f', file]);
      await account.authorise([await runTool('ssh-keygen', ['-y', '-f', file])]);
      await using connection = await connect(server, account, { identityFile: file });
      t.equal((await greet(await connection.openSftpChannel()))[0], 2, `${type} ${more.join(' ')}`);
    }
  });

  t.test('a key file that is missing, encrypted or no key is told apart', async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    const folder = t.testdir({ text: 'hello' });
    await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', join(folder, 'locked')]);
    for (const [name, message] of [
      ['missing', /is not there/],
      ['locked', /protected by a passphrase/],
      ['text', /no key that can be used/],
      ['locked.pub', /holds no private key/],
    ] as const) {
      const failure = await failureOf(connect(server, account, { identityFile: join(folder, name) }));
      t.match(failure, { code: 'AUTHENTICATION_FAILED', message }, name);
    }
  });

  t.test('a refused key comes with the line that would make it welcome', async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount({ authorised: false });
    const failure = await failureOf(connect(server, account));
    const line = /restrict,.*/.exec(failure.hint ?? '')?.[0] ?? '';
    await account.authorise([line]);
    await using connection = await connect(server, account);
    t.equal((await greet(await connection.openSftpChannel()))[0], 2);
  });

  t.test('more channels than MaxSessions are refused by name, the others go on', async (t) => {
    await using server = await startSshd({ maxSessions: 2 });
    await using connection = await connect(server, await server.addAccount());
    const channels = [await connection.openSftpChannel(), await connection.openSftpChannel()];
    t.match(await failureOf(connection.openSftpChannel()), { code: 'STORAGE_REFUSED', hint: /MaxSessions/ });
    for (const channel of channels) t.equal((await greet(channel))[0], 2);
  });
});

t.test('openssh', async (t) => {
  t.test('a jump host is used', async (t) => {
    await using jump = await startSshd();
    await using server = await startSshd();
    const [hop, account] = [await jump.addAccount(), await server.addAccount()];
    const proxy = [
      'ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR',
      `-i ${hop.identityFile} -p ${jump.port} -W ${server.host}:${server.port} ${hop.user}@${jump.host}`,
    ].join(' ');
    await using connection = await connect(server, account, {
      transport: 'openssh',
      // No such host here: only the other end of the jump knows the way.
      address: { host: 'behind-the-jump.invalid' },
      sshOptions: ['-o', `ProxyCommand=${proxy}`],
    });
    t.equal((await greet(await connection.openSftpChannel()))[0], 2);
  });

  t.test('without a pin, known_hosts decides', async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    const knownHosts = join(t.testdir({ known: server.knownHostsLine }), 'known');
    const common = { transport: 'openssh', hostKey: undefined } as const;
    const options = (file: string): string[] => ['-o', `UserKnownHostsFile=${file}`];
    await using connection = await connect(server, account, { ...common, sshOptions: options(knownHosts) });
    t.equal((await greet(await connection.openSftpChannel()))[0], 2);
    const unknown = connect(server, account, { ...common, sshOptions: options('/dev/null') });
    t.match(await failureOf(unknown), { code: 'HOST_KEY_CHANGED' });
  });

  t.test('the pin rules over known_hosts and over options that trust any key', async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    const knownHosts = join(t.testdir({ known: server.knownHostsLine }), 'known');
    const failure = await failureOf(
      connect(server, account, {
        transport: 'openssh',
        hostKey: `SHA256:${'A'.repeat(43)}`,
        sshOptions: ['-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'StrictHostKeyChecking=no'],
      }),
    );
    t.match(failure, { code: 'HOST_KEY_CHANGED' });
    t.match(failure.message, server.hostKeyFingerprint);
  });

  t.test("what a user's configuration makes easier for people holds for no backup", async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    const folder = t.testdir();
    const configured = async (name: string, lines: readonly string[]): Promise<string[]> => {
      const file = join(folder, name);
      await writeFile(file, ['Host *', ...lines, ''].join('\n'));
      return ['-F', file];
    };
    const common = { transport: 'openssh' } as const;
    const wrongPin = `SHA256:${'A'.repeat(43)}`;

    const trusting = await configured('trusting', [
      'StrictHostKeyChecking no',
      'UserKnownHostsFile /dev/null',
    ]);
    const unknown = connect(server, account, { ...common, hostKey: undefined, sshOptions: trusting });
    t.match(await failureOf(unknown), { code: 'HOST_KEY_CHANGED' }, 'a key that nobody knows');

    const near = await configured('near', ['NoHostAuthenticationForLocalhost yes']);
    const local = connect(server, account, { ...common, hostKey: wrongPin, sshOptions: near });
    t.match(
      await failureOf(local),
      { code: 'HOST_KEY_CHANGED' },
      'another key than the pinned one, on loopback',
    );

    // a path to a socket has room for 107 bytes
    const short = await mkdtemp(join(tmpdir(), 'bakker-master-'));
    t.teardown(() => rm(short, { recursive: true, force: true }));
    const socket = join(short, 'socket');
    const master = spawn(
      'ssh',
      [
        ...['-F', 'none', '-M', '-N', '-S', socket, '-i', account.identityFile, '-p', String(server.port)],
        ...['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
        `${account.user}@${server.host}`,
      ],
      { stdio: 'ignore' },
    );
    t.teardown(() => master.kill());
    for (let waited = 0; waited < 500 && !existsSync(socket); waited++) await delay(20);
    t.ok(existsSync(socket), 'somebody has logged in');
    const sharing = await configured('sharing', [`ControlPath ${socket}`]);
    const pinned = connect(server, account, { ...common, hostKey: wrongPin, sshOptions: sharing });
    t.match(await failureOf(pinned), { code: 'HOST_KEY_CHANGED' }, 'a connection that looked at no pin');
    const { identityFile } = await server.addAccount();
    const other = connect(server, account, { ...common, identityFile, sshOptions: sharing });
    t.match(await failureOf(other), { code: 'AUTHENTICATION_FAILED' }, 'a connection of another key');
  });

  t.test('an option that ssh does not know is a matter of configuration', async (t) => {
    await using server = await startSshd();
    const sshOptions = ['-o', 'NoSuchOption=1'];
    const failure = await failureOf(
      connect(server, await server.addAccount(), { transport: 'openssh', sshOptions }),
    );
    t.match(failure, { code: 'CONFIG_INVALID', exitStatus: 2 });
  });

  t.test('where ssh is not installed, it says so', async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    const path = process.env['PATH'];
    const folder = join(t.testdir(), 'bin');
    await mkdir(folder);
    await symlink('/bin/true', join(folder, 'true'));
    process.env['PATH'] = folder;
    t.teardown(() => (process.env['PATH'] = path));
    const failure = await failureOf(connect(server, account, { transport: 'openssh' }));
    process.env['PATH'] = path;
    t.match(failure, { code: 'CONFIG_INVALID', hint: /openssh-client/ });
  });
});

async function failureOf(promise: Promise<unknown>): Promise<AgentError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AgentError) return error;
    throw error;
  }
  throw new Error('it should have failed');
}

/** What an SFTP client would see, whether the log-in, the opening or the first reply fails. */
async function channelFailure(connecting: ReturnType<typeof connect>): Promise<unknown> {
  try {
    await using connection = await connecting;
    const channel = await connection.openSftpChannel();
    const failed = once(channel, 'error');
    channel.resume();
    const ended = once(channel, 'end').then(() => [undefined]);
    return (await Promise.race([failed, ended]))[0];
  } catch (error) {
    return error;
  }
}
