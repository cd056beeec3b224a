import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { descendantsOf } from '../../../../test/harness/processes.ts';
import { startSshd } from '../../../../test/harness/sshd.ts';
import type { SshAccount, SshServer } from '../../../../test/harness/sshd.ts';
import { openSshAccount } from '../../src/adapters/open-ssh-account.ts';
import type { Patience } from '../../src/adapters/ssh/patience.ts';
import { PATIENCE } from '../../src/adapters/ssh/patience.ts';
import type { SshSettings } from '../../src/config/config.ts';
import { bandwidthOf } from '../../src/limits/bandwidth.ts';
import type { StorageAccount } from '../../src/ports/storage-account.ts';
import { addressOf, settingsFor, TRANSPORTS } from '../ssh/with-sshd.ts';

const MIB = 1024 * 1024;

function open(
  server: SshServer,
  account: SshAccount,
  options: Partial<SshSettings> & { patience: Partial<Patience>; uploadBytesPerS?: number },
): Promise<StorageAccount> {
  const { patience, uploadBytesPerS, ...settings } = options;
  return openSshAccount(addressOf(server, account), settingsFor(server, account, settings), {
    signal: new AbortController().signal,
    bandwidth: bandwidthOf({ uploadBytesPerS, downloadBytesPerS: undefined }, () => performance.now()),
    patience: { ...PATIENCE, ...patience },
  });
}

/** Lets processes of the server stand still; they go on at the end. */
async function stop(server: SshServer, isMeant: (title: string) => boolean): Promise<Disposable> {
  const stopped: number[] = [];
  for (const pid of await descendantsOf(server.pid ?? 0)) {
    if (!isMeant(await readFile(`/proc/${pid}/cmdline`, 'latin1'))) continue;
    process.kill(pid, 'SIGSTOP');
    stopped.push(pid);
  }
  if (stopped.length === 0) throw new Error('nothing to stop');
  return {
    [Symbol.dispose]: () => {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    },
  };
}

t.test(
  'a thin line on which content goes for longer than a sign of life is waited for is not cut',
  async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    // what waits ahead of a sign of life takes seconds; answers to it come all the time
    const thin = { uploadBytesPerS: MIB, channels: 3, patience: { signOfLifeMs: 150 } };
    await using session = await open(server, account, thin);
    await using writer = await session.begin({ nowMs: Date.now() });
    const about = { mtimeS: 0, executable: false };
    const contents = [1, 2, 3].map((index) => [`file ${index}`, randomBytes(2 * MIB)] as const);
    await Promise.all(
      contents.map(async ([name, content]) => {
        await using sink = await writer.openFile(Buffer.from(name), about);
        await sink.write(0, content);
        await sink.finish(content.length);
      }),
    );
    for (const [name, content] of contents) {
      const stored = await readFile(`${account.folder}/${writer.run}.incomplete/${name}`);
      t.ok(stored.equals(content), `${name} arrived`);
    }
  },
);

t.test('a connection on which nothing comes any more is given up', async (t) => {
  await using server = await startSshd();
  const account = await server.addAccount();
  await using session = await open(server, account, { patience: { signOfLifeMs: 100 } });
  using _stopped = await stop(server, () => true);
  await t.rejects(session.listRuns(), {
    code: 'CONNECTION_LOST',
    message: /nothing came from it for 0\.5 s/,
  });
});

for (const transport of TRANSPORTS) {
  t.test(`an SFTP server that answers no more is given up, though sshd lives (${transport})`, async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    await using session = await open(server, account, { transport, patience: { answerMs: 800 } });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    t.same(await session.listRuns(), [], 'where nothing is asked, nothing is waited for');
    using _stopped = await stop(server, (title) => title.includes('internal-sftp'));
    await t.rejects(session.listRuns(), { code: 'CONNECTION_LOST', message: /unanswered for 0\.8 s/ });
  });

  t.test(`a server that never greets is out of reach (${transport})`, async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount({ keyOptions: 'command="/bin/sleep 100"' });
    const patience = { greetingMs: 300, logInMs: 3000 };
    await t.rejects(open(server, account, { transport, patience }), {
      code: 'STORAGE_UNREACHABLE',
      message: /no SFTP server greets/,
    });
  });
}
