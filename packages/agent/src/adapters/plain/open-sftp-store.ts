import { STATUS, SftpConnectionError, SftpStatusError, openSftp } from '@bakker/sftp';
import type { SftpClient } from '@bakker/sftp';
import type { SshSettings } from '../../config/config.ts';
import type { Bandwidth } from '../../limits/bandwidth.ts';
import { AgentError } from '../../errors.ts';
import { connectSsh } from '../ssh/connect.ts';
import type { SshAddress, SshConnection } from '../ssh/connect.ts';
import { SftpFileStore } from './sftp-file-store.ts';

/** From this round-trip time on a line is long: one channel would wait for answers, and it may be a thin one too. */
const LONG_LINE_MS = 4;
/** On a short line one server process would be the bottleneck; on a long one the answers on their way are. */
const CHANNELS = { short: 3, long: 4 };

/**
 * Makes an account of a line to an SFTP server, which is the store's from here on. On a short line one channel does all. On a
 * long one names and links go over a second, compressed connection, where they shrink to a fifth; content, which often
 * can't shrink, stays on the first.
 *
 * @param start - `first`: a channel of `line`, greeted
 */
export async function openSftpStore(
  start: { address: SshAddress; settings: SshSettings; line: SshConnection; first: SftpClient },
  options: { signal: AbortSignal; createFolder?: boolean; bandwidth?: Bandwidth | undefined },
): Promise<SftpFileStore> {
  const { address, settings, line, first: probe } = start;
  const connections: SshConnection[] = [line];
  const connect = async (compress: boolean): Promise<SshConnection> => {
    const { signal, bandwidth } = options;
    const connection = await connectSsh(address, settings, { signal, compress, bandwidth });
    connections.push(connection);
    return connection;
  };
  const close = async () => {
    await Promise.all(connections.map((connection) => connection[Symbol.asyncDispose]()));
  };
  try {
    const root = await probe.realpath(Buffer.from(address.path));
    const askedMs = performance.now();
    const startFolder = await probe.realpath(Buffer.from('.'));
    const isLong = performance.now() - askedMs >= LONG_LINE_MS;
    const names = isLong
      ? await openChannels(await connect(true), settings, { wanted: CHANNELS.long })
      : [probe, ...(await openChannels(line, settings, { wanted: CHANNELS.short, openCount: 1 }))];
    const first = names[0] ?? probe;
    if (options.createFolder) await makeIfMissing(first, root);
    else await first.stat(root);
    let content: Promise<readonly SftpClient[]> | undefined;
    return await SftpFileStore.open({
      address: `${address.user}@${address.host}:${address.path}`,
      names,
      ...(isLong
        ? {
            content: () =>
              (content ??= openChannels(line, settings, { wanted: CHANNELS.long, openCount: 1 }).then(
                (more) => [probe, ...more],
              )),
          }
        : {}),
      root: relativeTo(startFolder, root),
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
    if (error instanceof SftpConnectionError) throw noAnswer(address, error);
    throw error;
  }
}

export function noAnswer(address: SshAddress, cause: SftpConnectionError): AgentError {
  // the channel knows why
  if (cause.cause instanceof AgentError) return cause.cause;
  return new AgentError(
    'STORAGE_UNFIT',
    `${address.user}@${address.host} does not answer SFTP: ${cause.message}`,
    {
      hint: 'the account needs "Subsystem sftp internal-sftp" and no shell start-up files that print',
      cause,
    },
  );
}

/** As many channels as are wanted, or configured, less those that are open already. */
async function openChannels(
  connection: SshConnection,
  settings: SshSettings,
  { wanted, openCount = 0 }: { wanted: number; openCount?: number },
): Promise<SftpClient[]> {
  const open = async () => openSftp(await connection.openSftpChannel());
  const several = (count: number) => Array.from({ length: count - openCount }, open);
  if (settings.channels !== 'auto') return Promise.all(several(settings.channels));
  // a storage that takes fewer (MaxSessions) is only slower; without a first one there is nothing
  const opened = await Promise.allSettled(several(wanted));
  const channels = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = opened.find((one) => one.status === 'rejected');
  if (channels.length + openCount === 0 && failed) throw failed.reason;
  return channels;
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
