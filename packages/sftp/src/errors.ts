import { STATUS } from './protocol.ts';
import { printable } from './printable.ts';

/** What a request was about, for messages. */
export interface Subject {
  /** Name of the request: `open`, `hardlink`. */
  readonly request: string;
  readonly path?: Buffer | undefined;
  /** The second path of a request that has two. */
  readonly otherPath?: Buffer | undefined;
}

/** The server answered a request with something other than OK. The connection is as good as before. */
export class SftpStatusError extends Error {
  override readonly name = 'SftpStatusError';
  /** One of `STATUS`, or a number that version 3 does not know. */
  readonly status: number;
  /** What the server said of it, made printable; empty if nothing. */
  readonly serverMessage: string;

  constructor(status: number, subject: Subject, serverMessage: Uint8Array) {
    super();
    this.status = status;
    this.serverMessage = printable(serverMessage, MAX_MESSAGE_LENGTH);
    const said = this.serverMessage || statusWords(status);
    this.message = `${describe(subject)}: ${said} (SFTP status ${String(status)})`;
  }

  /** The same error without a stack trace: cheap enough for a hundred thousand refused links. */
  static light(status: number, subject: Subject, serverMessage: Uint8Array): SftpStatusError {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      return new SftpStatusError(status, subject, serverMessage);
    } finally {
      Error.stackTraceLimit = limit;
    }
  }
}

/** The connection could not be made, ended, or the server broke the protocol. Every request of the client rejects with it. */
export class SftpConnectionError extends Error {
  override readonly name = 'SftpConnectionError';

  constructor(message: string, extra: { cause?: unknown } = {}) {
    super(message, extra.cause === undefined ? {} : { cause: extra.cause });
  }
}

/** Thrown by the decoders, caught by the connection, which ends. */
export class MalformedPacket extends Error {
  override readonly name = 'MalformedPacket';
}

/** Words for a status that came, or is sent, without any. */
export function statusWords(status: number): string {
  return STATUS_WORDS[status] ?? 'unknown status';
}

const MAX_MESSAGE_LENGTH = 1000;

const STATUS_WORDS: Readonly<Record<number, string>> = {
  [STATUS.OK]: 'success',
  [STATUS.EOF]: 'end of file',
  [STATUS.NO_SUCH_FILE]: 'no such file',
  [STATUS.PERMISSION_DENIED]: 'permission denied',
  [STATUS.FAILURE]: 'failure',
  [STATUS.BAD_MESSAGE]: 'bad message',
  [STATUS.NO_CONNECTION]: 'no connection',
  [STATUS.CONNECTION_LOST]: 'connection lost',
  [STATUS.OP_UNSUPPORTED]: 'operation unsupported',
};

function describe({ request, path, otherPath }: Subject): string {
  if (path === undefined) return request;
  if (otherPath === undefined) return `${request} ${printable(path)}`;
  return `${request} ${printable(path)} -> ${printable(otherPath)}`;
}
