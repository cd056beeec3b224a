import { MAX_WRITE_BYTES, STATUS, SftpConnectionError, SftpStatusError } from '@bakker/sftp';
import type { SftpClient } from '@bakker/sftp';
import type { SshSettings } from '../../config/config.ts';
import type { Bandwidth } from '../../limits/bandwidth.ts';
import { AgentError } from '../../errors.ts';
import { connectSsh } from '../ssh/connect.ts';
import type { SshAddress, SshConnection } from '../ssh/connect.ts';
import { greetSftp } from '../ssh/greet-sftp.ts';
import { PATIENCE } from '../ssh/patience.ts';
import type { Patience } from '../ssh/patience.ts';
import { SftpFileStore, connectionLost } from './sftp-file-store.ts';

/** From this round-trip time on a line is long: one channel would wait for answers, and it may be a thin one too. */
const LONG_LINE_MS = 4;
/** On a short line one server process would be the bottleneck; on a long one the answers on their way are. */
const CHANNELS = { short: 3, long: 4 };

/** `limits@openssh.com` says 261,120 here; a server without that extension takes 32 KiB by the draft. */
const BYTES_BY_DRAFT = 32 * 1024;

interface Start {
  readonly address: SshAddress;
  readonly settings: SshSettings;
  readonly line: SshConnection;
  /** A channel of `line`, greeted. */
  readonly first: SftpClient;
}

interface StoreOptions {
  readonly signal: AbortSignal;
  readonly createFolder?: boolean;
  readonly bandwidth?: Bandwidth | undefined;
  readonly patience?: Patience | undefined;
}

/**
 * Makes an account of a line to an SFTP server, which is the store's from here on. On a short line one channel does all. On a
 * long one names and links go over a second, compressed connection, where they shrink to a fifth; content, which often
 * can't shrink, stays on the first. What is asked while that connection is made goes over the first, too: to log in takes a
 * dozen round trips.
 */
export async function openSftpStore(start: Start, options: StoreOptions): Promise<SftpFileStore> {
  const { address, settings, line, first } = start;
  let lanes: Lanes | undefined;
  const close = async () => {
    await Promise.all([line[Symbol.asyncDispose](), lanes?.close()]);
  };
  try {
    if (options.createFolder) await makeIfMissing(first, address.path);
    // one after the other on one channel: all are under way at once
    const [root, startFolder, limits] = await Promise.all([
      first.realpath(Buffer.from(address.path)),
      first.realpath(Buffer.from('.')),
      first.has('limits@openssh.com') ? first.limits() : undefined,
      first.stat(Buffer.from(address.path)),
    ]);
    const maxOpenHandles = limits?.maxOpenHandles ?? 0;
    first.limitHandles(maxOpenHandles);
    const wanted = { ...options, maxOpenHandles };
    lanes = (await isLongLine(first)) ? openFarLanes(start, wanted) : openNearLanes(start, wanted);
    // who says how many wants to be told where it can't be so
    if (settings.channels !== 'auto') await lanes.names;
    return new SftpFileStore({
      address: accountName(address),
      first,
      names: lanes.names.catch(() => [first]),
      ...(lanes.content ? { content: lanes.content } : {}),
      root: relativeTo(startFolder, root),
      rootBytes: root.length,
      maxReadBytes: Math.min(limits?.maxReadBytes || BYTES_BY_DRAFT, MAX_WRITE_BYTES),
      maxWriteBytes: Math.min(limits?.maxWriteBytes || BYTES_BY_DRAFT, MAX_WRITE_BYTES),
      maxOpenHandles,
      close,
    });
  } catch (error) {
    await close();
    if (error instanceof SftpStatusError) {
      throw new AgentError(
        'STORAGE_REFUSED',
        `the account's folder ${address.path} can't be used on ${address.host}: ${error.message}`,
        {
          hint: address.path.startsWith('/')
            ? 'check the path in the account address: host:/path begins at the root that SFTP shows, host:path at the folder that the login starts in; bakker init makes its last folder where it may'
            : 'check the path in the account address; bakker init makes its last folder where it may',
          cause: error,
        },
      );
    }
    if (error instanceof SftpConnectionError) throw connectionLost(accountName(address), error);
    throw error;
  }
}

/** Asked twice if need be: what a server does first takes it milliseconds, and this process may have been at work as well. */
async function isLongLine(first: SftpClient): Promise<boolean> {
  for (let attempt = 0; attempt < 2; attempt++) {
    const askedMs = performance.now();
    await first.realpath(Buffer.from('.'));
    if (performance.now() - askedMs < LONG_LINE_MS) return false;
  }
  return true;
}

interface LaneOptions extends StoreOptions {
  /** Of each channel, as the server says; 0 bounds nothing. */
  readonly maxOpenHandles: number;
}

/** Further channels, being opened. */
interface Lanes {
  /** For names and links. */
  readonly names: Promise<readonly SftpClient[]>;
  /** As `SftpChannels.content`. */
  readonly content?: () => Promise<readonly SftpClient[]>;
  readonly close: () => Promise<void>;
}

function openNearLanes(
  { address, settings, line, first }: Start,
  { patience = PATIENCE, maxOpenHandles }: LaneOptions,
): Lanes {
  const how = { host: address.host, patience, maxOpenHandles };
  const more = openChannels(line, settings, { ...how, wanted: CHANNELS.short, openCount: 1 });
  return { names: more.then((clients) => [first, ...clients]), close: () => Promise.resolve() };
}

function openFarLanes(
  { address, settings, line, first }: Start,
  { signal, bandwidth, patience = PATIENCE, maxOpenHandles }: LaneOptions,
): Lanes {
  const how = { host: address.host, patience, maxOpenHandles };
  const givingUp = new AbortController();
  const either = AbortSignal.any([signal, givingUp.signal]);
  const connecting = connectSsh(address, settings, { signal: either, compress: true, bandwidth, patience });
  let isConnected = false;
  const names = connecting.then((connection) => {
    isConnected = true;
    return openChannels(connection, settings, { ...how, wanted: CHANNELS.long });
  });
  let content: Promise<readonly SftpClient[]> | undefined;
  return {
    names,
    content: () =>
      (content ??= openChannels(line, settings, { ...how, wanted: CHANNELS.long, openCount: 1 }).then(
        (more) => [first, ...more],
      )),
    close: async () => {
      // nothing waits for a connection that it did not need
      if (!isConnected) givingUp.abort();
      const connection = await connecting.catch(() => undefined);
      await connection?.[Symbol.asyncDispose]();
      await names.catch(() => undefined);
    },
  };
}

function accountName({ user, host, path }: SshAddress): string {
  return `${user}@${host}:${path}`;
}

/** Nothing greeted. */
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
  options: { host: string; patience: Patience; wanted: number; openCount?: number; maxOpenHandles: number },
): Promise<SftpClient[]> {
  const { host, patience, wanted, openCount = 0, maxOpenHandles } = options;
  const { furtherGreetingMs: greetingMs, answerMs } = patience;
  const open = async () => {
    const client = await greetSftp(connection, { host, greetingMs, answerMs });
    client.limitHandles(maxOpenHandles);
    return client;
  };
  const several = (count: number) => Array.from({ length: count - openCount }, open);
  if (settings.channels !== 'auto') return Promise.all(several(settings.channels));
  // a storage that takes fewer (MaxSessions) is only slower; without a first one there is nothing
  const opened = await Promise.allSettled(several(wanted));
  const channels = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = opened.find((one) => one.status === 'rejected');
  if (channels.length + openCount === 0 && failed) throw failed.reason;
  return channels;
}

async function makeIfMissing(client: SftpClient, path: string): Promise<void> {
  const folder = Buffer.from(path);
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
