import type { Duplex } from 'node:stream';
import { SftpClient } from './client.ts';
import { Connection } from './connection.ts';
import { MalformedPacket, SftpConnectionError } from './errors.ts';
import type { PacketReader } from './packet-reader.ts';
import { printable } from './printable.ts';
import { PACKET, PROTOCOL_VERSION } from './protocol.ts';
import { watchSilence } from './watch-silence.ts';

export interface OpenSftpOptions {
  /** Gives up waiting for the server's greeting, and destroys the duplex. Of no effect later. */
  readonly signal?: AbortSignal | undefined;
  /** Longest reply that is taken, 64 MiB at most; OpenSSH's are at most 256 KiB. */
  readonly maxPacketBytes?: number | undefined;
  /** The connection fails when the server owes answers and sends nothing for so long; by default it is waited for. */
  readonly silenceMs?: number | undefined;
}

/**
 * Greets an SFTP server over a duplex: an SSH channel of the subsystem `sftp`, or the standard streams of a server. The
 * duplex is the client's from here on, and is destroyed when the connection fails.
 *
 * @throws SftpConnectionError if the duplex ends before the greeting, or what comes is none (quoted in the message)
 * @throws the signal's reason
 */
export async function openSftp(duplex: Duplex, options: OpenSftpOptions = {}): Promise<SftpClient> {
  const { signal, maxPacketBytes = DEFAULT_MAX_PACKET_BYTES, silenceMs } = options;
  if (!(maxPacketBytes >= MIN_MAX_PACKET_BYTES && maxPacketBytes <= MAX_MAX_PACKET_BYTES)) {
    throw new RangeError(`no limit for the length of packets: ${maxPacketBytes}`);
  }
  signal?.throwIfAborted();
  const opening = new Opening();
  duplex.on('data', opening.remember);
  const connection = new Connection(duplex, maxPacketBytes);
  const abort = (): void => {
    connection.fail(new SftpConnectionError('the opening of the SFTP connection was interrupted'));
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const extensions = await opening.greet(connection);
    // No packet can come in between: a server only answers.
    const client = new SftpClient(connection, extensions);
    if (silenceMs !== undefined) watchSilence(connection, () => client.pending, silenceMs);
    return client;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
    duplex.off('data', opening.remember);
  }
}

const DEFAULT_MAX_PACKET_BYTES = 1024 * 1024 + 1024;
const MIN_MAX_PACKET_BYTES = 1024;
const MAX_MAX_PACKET_BYTES = 64 * 1024 * 1024;
const QUOTED_BYTES = 200;

/** The exchange of INIT and VERSION; remembers how the other side's output began, to quote it if it is not SFTP. */
class Opening {
  #start = Buffer.alloc(0);

  readonly remember = (chunk: Buffer): void => {
    if (this.#start.length < QUOTED_BYTES) {
      this.#start = Buffer.concat([this.#start, chunk.subarray(0, QUOTED_BYTES - this.#start.length)]);
    }
  };

  async greet(connection: Connection): Promise<Map<string, string>> {
    const { promise, resolve, reject } = Promise.withResolvers<Map<string, string>>();
    connection.listener = {
      packet: (type, reader) => {
        resolve(readVersion(type, reader));
      },
      settled: () => undefined,
      failed: (error) => {
        reject(this.#looksLikeText() ? this.#noSftp(error) : error);
      },
    };
    if (connection.failure !== undefined) throw connection.failure;
    connection.writer.init(PROTOCOL_VERSION);
    connection.flush();
    return await promise;
  }

  /** The length of a real greeting begins with a zero byte. */
  #looksLikeText(): boolean {
    return this.#start.length > 0 && this.#start[0] !== 0;
  }

  #noSftp(cause: Error): SftpConnectionError {
    const quote = printable(this.#start).trim();
    return new SftpConnectionError(`the other side does not speak SFTP; its output begins: ${quote}`, {
      cause,
    });
  }
}

function readVersion(type: number, reader: PacketReader): Map<string, string> {
  if (type !== PACKET.VERSION)
    throw new MalformedPacket(`a packet of type ${type} came in place of a greeting`);
  const version = reader.u32();
  if (version !== PROTOCOL_VERSION)
    throw new MalformedPacket(`it speaks version ${version}, not ${PROTOCOL_VERSION}`);
  const extensions = new Map<string, string>();
  while (reader.remainingBytes > 0) {
    const name = reader.string().toString('latin1');
    extensions.set(name, reader.string().toString('latin1'));
  }
  return extensions;
}
