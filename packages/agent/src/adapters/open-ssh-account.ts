import { PROTOCOL_EXTENSION } from '@bakker/impl-format';
import { SftpConnectionError } from '@bakker/sftp';
import type { SftpClient } from '@bakker/sftp';
import type { SshSettings } from '../config/config.ts';
import type { Bandwidth } from '../limits/bandwidth.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import { PlainAccount } from './plain/plain-account.ts';
import { noAnswer, openSftpStore } from './plain/open-sftp-store.ts';
import { connectSsh } from './ssh/connect.ts';
import type { SshAddress, SshConnection } from './ssh/connect.ts';
import { greetSftp } from './ssh/greet-sftp.ts';
import { PATIENCE } from './ssh/patience.ts';
import type { Patience } from './ssh/patience.ts';

/**
 * Connects to an account. Its SFTP server says whether it is ours: then one channel does all, by verbs; else every rule is
 * kept by plain requests.
 *
 * @throws AgentError as `openAccount` says
 */
export async function openSshAccount(
  address: SshAddress,
  settings: SshSettings,
  options: {
    signal: AbortSignal;
    createFolder?: boolean;
    bandwidth?: Bandwidth | undefined;
    patience?: Patience | undefined;
  },
): Promise<StorageAccount> {
  const { signal, bandwidth, patience = PATIENCE } = options;
  const line = await connectSsh(address, settings, { signal, compress: false, bandwidth, patience });
  try {
    const first = await greet(address, line, patience);
    if (!first.has(PROTOCOL_EXTENSION)) {
      return new PlainAccount(await openSftpStore({ address, settings, line, first }, options));
    }
    const { ShellAccount } = await import('./shell/shell-account.ts');
    return await ShellAccount.open({
      client: first,
      address: `${address.user}@${address.host}:${address.path}`,
      close: async () => {
        await line[Symbol.asyncDispose]();
      },
    });
  } catch (error) {
    await line[Symbol.asyncDispose]();
    throw error;
  }
}

async function greet(address: SshAddress, line: SshConnection, patience: Patience): Promise<SftpClient> {
  try {
    return await greetSftp(line, { host: address.host, ...patience });
  } catch (error) {
    if (!(error instanceof SftpConnectionError)) throw error;
    throw noAnswer(address, error);
  }
}
