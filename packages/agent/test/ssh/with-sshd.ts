import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { SshAccount, SshServer } from '../../../../test/harness/sshd.ts';
import {
  connectSsh,
  type ConnectOptions,
  type SshAddress,
  type SshConnection,
} from '../../src/adapters/ssh/connect.ts';
import type { SshSettings } from '../../src/config/config.ts';

export const TRANSPORTS = ['ssh2', 'openssh'] as const;

export function addressOf(server: SshServer, account: SshAccount): SshAddress {
  return { kind: 'ssh', user: account.user, host: server.host, port: server.port, path: account.path };
}

export function settingsFor(
  server: SshServer,
  account: SshAccount,
  changes: Partial<SshSettings> = {},
): SshSettings {
  return {
    transport: 'ssh2',
    identityFile: account.identityFile,
    hostKey: server.hostKeyFingerprint,
    sshOptions: [],
    channels: 1,
    ...changes,
  };
}

export async function connect(
  server: SshServer,
  account: SshAccount,
  changes: Partial<SshSettings> & Partial<ConnectOptions> & { address?: Partial<SshAddress> } = {},
): Promise<SshConnection> {
  const { signal = new AbortController().signal, compress = false, address = {}, ...settings } = changes;
  return connectSsh({ ...addressOf(server, account), ...address }, settingsFor(server, account, settings), {
    signal,
    compress,
  });
}

const INIT = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);

/** Sends SSH_FXP_INIT and reads the whole reply: proof that an SFTP server is at the other end. */
export async function greet(channel: Duplex): Promise<Buffer> {
  channel.write(INIT);
  return readPacket(channel);
}

/** One SFTP packet without its length. Nothing is lost of what comes after it. */
export async function readPacket(channel: Duplex): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const piece: unknown = channel.read();
    if (piece instanceof Buffer) bytes = Buffer.concat([bytes, piece]);
    else await once(channel, 'readable');
    if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) continue;
    const end = 4 + bytes.readUInt32BE(0);
    if (bytes.length > end) channel.unshift(bytes.subarray(end));
    return bytes.subarray(4, end);
  }
}

/** SSH_FXP_REALPATH of `path`. */
export function realpathRequest(id: number, path: string): Buffer {
  const name = Buffer.from(path);
  const packet = Buffer.alloc(13 + name.length);
  packet.writeUInt32BE(9 + name.length, 0);
  packet[4] = 16;
  packet.writeUInt32BE(id, 5);
  packet.writeUInt32BE(name.length, 9);
  name.copy(packet, 13);
  return packet;
}
