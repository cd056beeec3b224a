import { openSftp } from '@bakker/sftp';
import type { SftpClient } from '@bakker/sftp';
import { AgentError } from '../../errors.ts';
import type { SshConnection } from './connect.ts';

/**
 * Opens an SFTP channel of a connection. An SFTP server that stopped is not noticed by signs of life, which sshd answers:
 * neither its greeting nor an answer is waited for without end.
 *
 * @throws AgentError as `openSftpChannel`, and STORAGE_UNREACHABLE if nothing greets in time; SftpConnectionError
 */
export async function greetSftp(
  line: SshConnection,
  waits: { readonly host: string; readonly greetingMs: number; readonly answerMs: number },
): Promise<SftpClient> {
  const channel = await line.openSftpChannel();
  const late = AbortSignal.timeout(waits.greetingMs);
  try {
    return await openSftp(channel, { signal: late, silenceMs: waits.answerMs });
  } catch (error) {
    if (!late.aborted || error !== late.reason) throw error;
    throw noGreeting(waits.host, waits.greetingMs);
  }
}

/** @param host - as people write it */
export function noGreeting(host: string, waitedMs: number): AgentError {
  return new AgentError(
    'STORAGE_UNREACHABLE',
    `${host} can't be reached: no SFTP server greets there within ${waitedMs / 1000} s`,
    { hint: 'see the load, the disks and the log of the SSH server there' },
  );
}
