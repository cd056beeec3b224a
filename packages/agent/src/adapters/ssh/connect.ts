import type { Duplex } from 'node:stream';
import type { Bandwidth } from '../../limits/bandwidth.ts';
import type { AccountAddress, SshSettings } from '../../config/config.ts';
import type { Patience } from './patience.ts';

export type SshAddress = Extract<AccountAddress, { kind: 'ssh' }>;

export interface ConnectOptions {
  /** Closes the connection at once, also later. */
  readonly signal: AbortSignal;
  /** Asks for zlib on the wire; quietly without it where the storage has none. */
  readonly compress: boolean;
  /** Shared with whoever else has it. */
  readonly bandwidth?: Bandwidth | undefined;
  readonly patience?: Patience | undefined;
}

/** A connection to an account, logged in. Disposing ends it and every channel; it is idempotent. */
export interface SshConnection extends AsyncDisposable {
  /**
   * A stream that an SFTP server answers on. When the connection is cut, open channels emit an AgentError
   * CONNECTION_LOST, then close.
   *
   * @throws AgentError STORAGE_UNFIT when the account has no SFTP, STORAGE_REFUSED when it takes no further channel,
   * CONNECTION_LOST
   */
  openSftpChannel(): Promise<Duplex>;
  /** Resolves (never rejects) when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  /** Bytes so far. ssh2: on the TCP connection. openssh: of SFTP, before encryption and compression. */
  wireBytes(): { sent: number; received: number };
}

/**
 * Connects and logs in by the transport that `settings` name.
 *
 * @throws AgentError STORAGE_UNREACHABLE, HOST_KEY_CHANGED, AUTHENTICATION_FAILED, STORAGE_UNFIT, CONFIG_INVALID; the
 * signal's reason when it is aborted
 */
export async function connectSsh(
  address: SshAddress,
  settings: SshSettings,
  options: ConnectOptions,
): Promise<SshConnection> {
  options.signal.throwIfAborted();
  if (settings.transport === 'openssh') {
    const { connectByOpenssh } = await import('./openssh-connection.ts');
    return connectByOpenssh(address, settings, options);
  }
  const { connectBySsh2 } = await import('./ssh2-connection.ts');
  return connectBySsh2(address, settings, options);
}
