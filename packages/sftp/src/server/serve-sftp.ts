import type { ServeSftpOptions, ServerStreams, SftpService, SftpSession } from './service.ts';
import { Session } from './session.ts';

/**
 * Serves SFTP version 3 to one client, until its input ends. The streams are the session's from here on. They should be
 * able to wait: over a pipe, `process.stdout` blocks the whole process while the client does not read; a `net.Socket` on
 * descriptor 1 does not. A duplex must allow half-open (`net.Socket` does not by default), or late replies are lost.
 *
 * Memory is bounded whatever the client does: by `maxPacketBytes`, the bounds of what is pending, and `maxUnsentBytes`.
 *
 * @throws RangeError for an option out of range
 */
export function serveSftp(
  streams: ServerStreams,
  service: SftpService,
  options: ServeSftpOptions = {},
): SftpSession {
  const { input, output } = 'input' in streams ? streams : { input: streams, output: streams };
  const settings = {
    extensions: options.extensions ?? [],
    maxPacketBytes: bound(options.maxPacketBytes ?? 272 * 1024, 1024, 64 * 1024 * 1024),
    maxPendingRequests: bound(options.maxPendingRequests ?? 256, 1, 1_000_000),
    maxPendingBytes: bound(options.maxPendingBytes ?? 8 * 1024 * 1024, 1, Number.MAX_SAFE_INTEGER),
    maxUnsentBytes: bound(options.maxUnsentBytes ?? 1024 * 1024, 1, Number.MAX_SAFE_INTEGER),
    onServiceError: options.onServiceError,
  };
  const session = new Session({ input, output, service, settings });
  session.start();
  return session;
}

function bound(value: number, least: number, most: number): number {
  if (!(value >= least && value <= most)) throw new RangeError(`no bound of a session: ${value}`);
  return value;
}
