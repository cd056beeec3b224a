import type { Duplex } from 'node:stream';
import type { SshSettings } from '../../config/config.ts';
import type { Bandwidth } from '../../limits/bandwidth.ts';
import { AgentError } from '../../errors.ts';
import type { ConnectOptions, SshAddress, SshConnection } from './connect.ts';
import { noGreeting } from './greet-sftp.ts';
import { opensshArguments } from './openssh-arguments.ts';
import { OpensshChannel, type ChannelEnd } from './openssh-channel.ts';
import { lastLine, opensshFailure } from './openssh-failures.ts';
import { PATIENCE } from './patience.ts';
import { hostAndPort } from './tcp.ts';

const CLOSE_TIMEOUT_MS = 2_000;

/** Connects by the system's ssh, one process a channel. Throws as `connectSsh` says. */
export async function connectByOpenssh(
  address: SshAddress,
  settings: SshSettings,
  options: ConnectOptions,
): Promise<SshConnection> {
  const connection = new OpensshConnection({
    address,
    args: opensshArguments(address, settings, options),
    signal: options.signal,
    bandwidth: options.bandwidth,
    logInMs: (options.patience ?? PATIENCE).logInMs,
  });
  try {
    await connection.connect();
    return connection;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

class OpensshConnection implements SshConnection {
  readonly closed: Promise<void>;
  readonly #address: SshAddress;
  readonly #args: readonly string[];
  readonly #signal: AbortSignal;
  readonly #bandwidth: Bandwidth | undefined;
  readonly #logInMs: number;
  readonly #channels = new Set<OpensshChannel>();
  readonly #resolveClosed: () => void;
  #past = { sent: 0, received: 0 };
  /** Set once the connection is over: disposed of, or cut. */
  #end: Pick<ChannelEnd, 'stderr'> | undefined;
  /** Made to see that the log-in works; the first consumer gets it. */
  #spare: OpensshChannel | undefined;

  constructor(parts: {
    address: SshAddress;
    args: readonly string[];
    signal: AbortSignal;
    bandwidth: Bandwidth | undefined;
    logInMs: number;
  }) {
    this.#address = parts.address;
    this.#args = parts.args;
    this.#signal = parts.signal;
    this.#bandwidth = parts.bandwidth;
    this.#logInMs = parts.logInMs;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#signal.addEventListener('abort', this.#abort, { once: true });
  }

  async connect(): Promise<void> {
    this.#spare = await this.#start();
  }

  async openSftpChannel(): Promise<Duplex> {
    this.#signal.throwIfAborted();
    if (this.#end !== undefined) throw this.#lost(this.#end);
    const spare = this.#spare;
    this.#spare = undefined;
    return spare !== undefined && !spare.destroyed ? spare : this.#start();
  }

  wireBytes(): { sent: number; received: number } {
    let { sent, received } = this.#past;
    for (const channel of this.#channels) {
      sent += channel.sentBytes;
      received += channel.receivedBytes;
    }
    return { sent, received };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#abort);
    this.#end ??= { stderr: '' };
    const channels = [...this.#channels];
    for (const channel of channels) channel.destroy();
    const timer = setTimeout(() => {
      for (const channel of channels) channel.kill();
    }, CLOSE_TIMEOUT_MS);
    await Promise.all(channels.map((channel) => channel.ended));
    clearTimeout(timer);
    this.#resolveClosed();
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#signal.reason;
    for (const channel of this.#channels) channel.kill(reason instanceof Error ? reason : undefined);
    this.#resolveClosed();
  };

  async #start(): Promise<OpensshChannel> {
    this.#signal.throwIfAborted();
    const channel = new OpensshChannel(this.#args, {
      lostError: (end) => this.#lost(end),
      bandwidth: this.#bandwidth,
    });
    this.#channels.add(channel);
    void channel.ended.then((end) => {
      this.#channels.delete(channel);
      this.#past.sent += channel.sentBytes;
      this.#past.received += channel.receivedBytes;
      if (end.wasAsked || end.status === 0) return;
      this.#end ??= end;
      this.#resolveClosed();
    });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      channel.kill();
    }, this.#logInMs);
    const failure = await channel.greet();
    clearTimeout(timer);
    this.#signal.throwIfAborted();
    if (isLate) throw noGreeting(this.#where(), this.#logInMs);
    if (failure !== undefined) {
      const end = await settled(channel, failure);
      this.#signal.throwIfAborted();
      throw opensshFailure({ where: this.#where(), user: this.#address.user }, end);
    }
    return channel;
  }

  #lost(end: Pick<ChannelEnd, 'stderr'>): Error {
    if (this.#signal.aborted && this.#signal.reason instanceof Error) return this.#signal.reason;
    const said = lastLine(end.stderr);
    const detail = said === '' ? '' : `: ${said}`;
    return new AgentError('CONNECTION_LOST', `the connection to ${this.#where()} was lost${detail}`, {
      hint: 'run the command again: what arrived is kept',
    });
  }

  #where(): string {
    return hostAndPort(this.#address.host, this.#address.port);
  }
}

/** How an ssh that is no use ended; its exit status tells whose fault it was. */
async function settled(
  channel: OpensshChannel,
  outcome: 'closing' | 'no SFTP',
): Promise<Pick<ChannelEnd, 'status' | 'stderr'>> {
  // It still runs, and prints what is no SFTP.
  if (outcome === 'no SFTP') {
    channel.kill();
    const { stderr } = await channel.ended;
    return { status: 0, stderr };
  }
  const timer = setTimeout(() => channel.kill(), CLOSE_TIMEOUT_MS);
  const end = await channel.ended;
  clearTimeout(timer);
  return end;
}
