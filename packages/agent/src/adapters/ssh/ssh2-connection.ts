import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import ssh2, {
  type Client,
  type ClientChannel,
  type PublicKeyAuthMethod,
  type ServerHostKeyAlgorithm,
} from 'ssh2';
import type { SshSettings } from '../../config/config.ts';
import { AgentError } from '../../errors.ts';
import type { ConnectOptions, SshAddress, SshConnection } from './connect.ts';
import { algorithms, fingerprintOf, hostKeyAlgorithms, hostKeyType } from './handshake.ts';
import { readIdentity, type Identity } from './identity.ts';
import { PATIENCE } from './patience.ts';
import { logInFailure } from './ssh2-failures.ts';
import { hostAndPort, openTcp } from './tcp.ts';
import { stages } from '../../timings/stages.ts';

const READY_TIMEOUT_MS = 20_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** Signs of life that were asked for in vain, one after the other. */
const MOST_IN_VAIN = 5;

/** Connects in this process. Throws as `connectSsh` says. */
export async function connectBySsh2(
  address: SshAddress,
  settings: SshSettings,
  options: ConnectOptions,
): Promise<SshConnection> {
  const { hostKey: pin, identityFile } = settings;
  const where = hostAndPort(address.host, address.port);
  if (pin === undefined) {
    throw new AgentError('CONFIG_INVALID', `the host key of ${where} is not pinned`, {
      hint: 'run `bakker init` again, or set `host-key: SHA256:…` in the configuration',
    });
  }
  if (identityFile === undefined) {
    throw new AgentError('CONFIG_INVALID', 'no key file is configured', {
      hint: 'set `identity:` in the configuration, or run `bakker init` to make a key',
    });
  }
  const identity = await readIdentity(identityFile);
  const got: HostKey[] = [];
  const { compress, patience = PATIENCE } = options;
  const base = { address, identity, pin, compress, signOfLifeMs: patience.signOfLifeMs };
  // The pin may be of another type than the key that the storage prefers to show, so each type is asked for in turn.
  for (;;) {
    const offered = hostKeyAlgorithms(got.map(({ type }) => type));
    if (offered.length === 0) throw hostKeyChanged(where, pin, got);
    const socket = await openTcp(address, options);
    const outcome = await logIn({ ...base, socket, offered }, options.signal);
    if (outcome.kind === 'ready') {
      return new Ssh2Connection({ client: outcome.client, socket, where, options });
    }
    if (outcome.kind === 'other key') {
      got.push(outcome.shown);
    } else {
      const hasNoOther = got.length > 0 && /no matching host key/i.test(outcome.error.message);
      throw hasNoOther ? hostKeyChanged(where, pin, got) : logInFailure(outcome.error, { address, identity });
    }
  }
}

interface HostKey {
  readonly type: string;
  readonly fingerprint: string;
}

type LogInOutcome =
  | { readonly kind: 'ready'; readonly client: Client }
  | { readonly kind: 'other key'; readonly shown: HostKey }
  | { readonly kind: 'failed'; readonly error: Error };

/** Handshake and authentication; rejects with the signal's reason only. */
async function logIn(
  attempt: {
    address: SshAddress;
    identity: Identity;
    socket: Socket;
    offered: readonly ServerHostKeyAlgorithm[];
    pin: string;
    compress: boolean;
    signOfLifeMs: number;
  },
  signal: AbortSignal,
): Promise<LogInOutcome> {
  const { address, identity, socket } = attempt;
  const client = new ssh2.Client();
  const { promise, resolve } = Promise.withResolvers<LogInOutcome>();
  let shown: HostKey | undefined;
  // ssh2 emits errors after the first one too, and as long as the connection lives: this listener stays.
  client.on('error', (error) => {
    resolve(shown === undefined ? { kind: 'failed', error } : { kind: 'other key', shown });
  });
  client.on('close', () => {
    resolve({ kind: 'failed', error: new Error('the storage closed the connection') });
  });
  client.on('ready', () => {
    resolve({ kind: 'ready', client });
  });
  const abort = (): void => {
    socket.destroy();
  };
  const method: PublicKeyAuthMethod = { type: 'publickey', username: address.user, key: identity.key };
  signal.addEventListener('abort', abort, { once: true });
  try {
    client.connect({
      sock: socket,
      username: address.user,
      // Only this key, and no first request without one: it saves a round trip and a line in the storage's log.
      authHandler: [method],
      algorithms: algorithms({ compress: attempt.compress, serverHostKey: attempt.offered }),
      hostVerifier: (key: Buffer) => {
        const fingerprint = fingerprintOf(key);
        if (fingerprint === attempt.pin) return true;
        shown = { type: hostKeyType(key), fingerprint };
        return false;
      },
      keepaliveInterval: attempt.signOfLifeMs,
      // ssh2 counts answers only, and the questions wait behind megabytes of content: see `watchLife`
      keepaliveCountMax: Number.POSITIVE_INFINITY,
      readyTimeout: READY_TIMEOUT_MS,
    });
    const outcome = await promise;
    signal.throwIfAborted();
    if (outcome.kind !== 'ready') socket.destroy();
    return outcome;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

class Ssh2Connection implements SshConnection {
  readonly closed: Promise<void>;
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #where: string;
  readonly #signal: AbortSignal;
  readonly #channels = new Set<ClientChannel>();
  #cause: Error | undefined;
  #isEnding = false;

  constructor(parts: { client: Client; socket: Socket; where: string; options: ConnectOptions }) {
    this.#client = parts.client;
    this.#socket = parts.socket;
    this.#where = parts.where;
    this.#signal = parts.options.signal;
    this.#client.on('error', (error) => (this.#cause ??= error));
    const { signOfLifeMs } = parts.options.patience ?? PATIENCE;
    const stopWatching = watchLife(this.#socket, signOfLifeMs, () => {
      this.#cause ??= new Error(`nothing came from it for ${(signOfLifeMs * MOST_IN_VAIN) / 1000} s`);
      this.#socket.destroy();
    });
    this.closed = new Promise((resolve) => {
      // Before ssh2's own listeners: they end the channels as if the far side had said good-bye, and take the
      // compression away under whoever writes or reads on.
      this.#socket.prependListener('end', () => this.#endChannels());
      this.#socket.prependListener('close', () => {
        stopWatching();
        this.#signal.removeEventListener('abort', this.#abort);
        this.#endChannels();
        resolve();
      });
    });
    this.#signal.addEventListener('abort', this.#abort, { once: true });
  }

  async openSftpChannel(): Promise<Duplex> {
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      if (!this.#socket.writable) {
        reject(this.#lost());
        return;
      }
      this.#client.subsys('sftp', (error: Error | undefined, opened) => {
        if (error === undefined) resolve(opened);
        else reject(this.#channelRefused(error));
      });
    });
    this.#channels.add(channel);
    channel.stderr.resume();
    keepQuietWithout(this.#socket, channel);
    timeWrites(channel);
    // Also an error that comes after the consumer has let go of the channel must not end the process.
    channel.on('error', () => undefined);
    channel.on('close', () => this.#channels.delete(channel));
    channel.prependListener('end', () => {
      if (!channel.readableDidRead && !this.#isEnding) channel.emit('error', noSftp(this.#where));
    });
    return channel;
  }

  wireBytes(): { sent: number; received: number } {
    return { sent: this.#socket.bytesWritten, received: this.#socket.bytesRead };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#client.end();
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    await this.closed;
    clearTimeout(timer);
  }

  readonly #abort = (): void => {
    this.#socket.destroy();
  };

  #endChannels(): void {
    const reason = this.#signal.aborted ? toError(this.#signal.reason) : this.#lost();
    for (const channel of this.#channels) {
      if (!this.#isEnding) channel.emit('error', reason);
      // ssh2 overrides destroy() with a polite close, which needs a connection.
      Duplex.prototype.destroy.call(channel);
    }
    this.#channels.clear();
  }

  #lost(): AgentError {
    const detail = this.#cause === undefined ? '' : `: ${this.#cause.message}`;
    return new AgentError('CONNECTION_LOST', `the connection to ${this.#where} was lost${detail}`, {
      hint: 'run the command again: what arrived is kept',
      cause: this.#cause,
    });
  }

  #channelRefused(error: Error): AgentError {
    if (!this.#socket.writable) return this.#lost();
    if (error.message.includes('subsystem')) return noSftp(this.#where, error);
    return new AgentError('STORAGE_REFUSED', `${this.#where} takes no further channel: ${error.message}`, {
      hint: 'lower `channels:` in the configuration, or raise MaxSessions in the sshd_config of the storage',
      cause: error,
    });
  }
}

/**
 * Whatever comes is a sign of life: on a thin line the answers to what is sent come, and the question for one waits its turn.
 * Counted in steps, so that a machine that slept gives the storage time to answer.
 *
 * @returns what ends the watch
 */
function watchLife(socket: Socket, everyMs: number, onDead: () => void): () => void {
  let heardBytes = socket.bytesRead;
  let inVain = 0;
  const timer = setInterval(() => {
    inVain = socket.bytesRead === heardBytes ? inVain + 1 : 0;
    heardBytes = socket.bytesRead;
    if (inVain >= MOST_IN_VAIN) onDead();
  }, everyMs);
  return () => clearInterval(timer);
}

/** A channel that is let go of after the connection must not try to say so on it: with compression, that throws. */
function keepQuietWithout(socket: Socket, channel: ClientChannel): void {
  const eof = channel.eof.bind(channel);
  const close = channel.close.bind(channel);
  channel.eof = () => {
    if (socket.writable) eof();
  };
  channel.close = () => {
    if (socket.writable) close();
  };
}

/** ssh2 encrypts within the call. */
function timeWrites(channel: ClientChannel): void {
  const write: unknown = Reflect.get(channel, 'write');
  if (typeof write !== 'function') throw new Error('a channel that can not be written');
  Object.defineProperty(channel, 'write', {
    value: (...given: unknown[]): unknown =>
      stages.doing('send', () => Reflect.apply(write, channel, given) as unknown),
  });
}

function noSftp(where: string, cause?: Error): AgentError {
  return new AgentError('STORAGE_UNFIT', `the account on ${where} does not answer as an SFTP server`, {
    hint: 'its sshd_config needs `Subsystem sftp internal-sftp`, its key or user no other forced command',
    cause,
  });
}

function hostKeyChanged(where: string, expected: string, got: readonly HostKey[]): AgentError {
  const shown = got.map(({ fingerprint }) => fingerprint).join(', ');
  return new AgentError('HOST_KEY_CHANGED', `${where} shows the host key ${shown}, expected ${expected}`, {
    hint: 'ask its administrator; only if the new key is genuine, set it as `host-key:` in the configuration',
  });
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
