import { STATUS, SftpConnectionError, SftpStatusError, openSftp } from '@bakker/sftp';
import type { SftpClient } from '@bakker/sftp';
import type { SshSettings } from '../../config/config.ts';
import { AgentError } from '../../errors.ts';
import { connectSsh } from '../ssh/connect.ts';
import type { SshAddress, SshConnection } from '../ssh/connect.ts';
import { SftpFileStore } from './sftp-file-store.ts';

/** From this round-trip time on a line is long: one channel would wait for answers. */
const LONG_LINE_MS = 4;
const CHANNELS_ON_A_LONG_LINE = 4;

/**
 * Connects to an account over SFTP. Names and links go over a compressed connection, where they shrink tenfold; content,
 * which often can't shrink, over a second one that is opened when there is some.
 */
export async function openSftpStore(
  address: SshAddress,
  settings: SshSettings,
  options: { signal: AbortSignal; createFolder?: boolean },
): Promise<SftpFileStore> {
  const connections: SshConnection[] = [];
  const connect = async (compress: boolean): Promise<readonly SftpClient[]> => {
    const connection = await connectSsh(address, settings, { signal: options.signal, compress });
    connections.push(connection);
    const isLong = connection.roundTripMs >= LONG_LINE_MS;
    const count = settings.channels === 'auto' ? (isLong ? CHANNELS_ON_A_LONG_LINE : 1) : settings.channels;
    return Promise.all(
      Array.from({ length: count }, async () => openSftp(await connection.openSftpChannel())),
    );
  };
  const close = async () => {
    await Promise.all(connections.map((connection) => connection[Symbol.asyncDispose]()));
  };
  try {
    const names = await connect(true);
    const first = names[0];
    if (!first) throw new Error('no SFTP channel');
    const [root, start] = await Promise.all([
      first.realpath(Buffer.from(address.path)),
      first.realpath(Buffer.from('.')),
    ]);
    if (options.createFolder) await makeIfMissing(first, root);
    else await first.stat(root);
    let content: Promise<readonly SftpClient[]> | undefined;
    return await SftpFileStore.open({
      address: `${address.user}@${address.host}:${address.path}`,
      names,
      content: () => (content ??= connect(false)),
      get isContentOpen() {
        return content !== undefined;
      },
      root: relativeTo(start, root),
      rootBytes: root.length,
      close,
    });
  } catch (error) {
    await close();
    if (error instanceof SftpStatusError) {
      throw new AgentError(
        'STORAGE_REFUSED',
        `the account's folder ${address.path} can't be used on ${address.host}: ${error.message}`,
        {
          hint: 'check the path in the account address; bakker init makes the folder where it may',
          cause: error,
        },
      );
    }
    if (error instanceof SftpConnectionError) {
      throw new AgentError(
        'STORAGE_UNFIT',
        `${address.user}@${address.host} does not answer SFTP: ${error.message}`,
        {
          hint: 'the account needs "Subsystem sftp internal-sftp" and no shell start-up files that print',
          cause: error,
        },
      );
    }
    throw error;
  }
}

async function makeIfMissing(client: SftpClient, folder: Buffer): Promise<void> {
  try {
    await client.stat(folder);
  } catch (error) {
    if (!(error instanceof SftpStatusError) || error.status !== STATUS.NO_SUCH_FILE) throw error;
    await client.mkdir(folder, { permissions: 0o700 });
  }
}

/** `folder` as it is named from `start`, if it is there or below. */
function relativeTo(start: Buffer, folder: Buffer): Buffer {
  if (folder.equals(start)) return Buffer.from('.');
  const prefix = start.at(-1) === SLASH ? start : Buffer.concat([start, Buffer.of(SLASH)]);
  return folder.subarray(0, prefix.length).equals(prefix) ? folder.subarray(prefix.length) : folder;
}

const SLASH = 0x2f;
