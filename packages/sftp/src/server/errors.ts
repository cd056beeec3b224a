/** Thrown by a service in place of a StatusReply. The message goes to the client as it is. */
export class SftpRefusal extends Error {
  override readonly name = 'SftpRefusal';
  /** Of `STATUS`, or a number that both sides agreed on. */
  readonly status: number;

  constructor(status: number, message: string, extra: { cause?: unknown } = {}) {
    super(message, extra.cause === undefined ? {} : { cause: extra.cause });
    this.status = status;
  }
}

/**
 * - `PROTOCOL`: the client sent what is no SFTP, or broke its rules where no answer is possible
 * - `TRUNCATED`: the input ended within a packet
 * - `INPUT`, `OUTPUT`: the stream broke
 * - `ABORTED`: the session was ended here
 */
export type SftpSessionErrorCode = 'PROTOCOL' | 'TRUNCATED' | 'INPUT' | 'OUTPUT' | 'ABORTED';

/** Why a session did not end well. */
export class SftpSessionError extends Error {
  override readonly name = 'SftpSessionError';
  readonly code: SftpSessionErrorCode;

  constructor(code: SftpSessionErrorCode, message: string, extra: { cause?: unknown } = {}) {
    super(message, extra.cause === undefined ? {} : { cause: extra.cause });
    this.code = code;
  }
}
