import { spawn } from 'node:child_process';
import { shellLine } from '../../enrol/shell-words.ts';
import { AgentError } from '../../errors.ts';
import type { RemoteEnd, SshTarget } from '../../ports/enrolment.ts';
import { environmentOfPrograms } from '../programs-environment.ts';
import { opensshFailure } from './openssh-failures.ts';

const MOST_CHARACTERS = 4 * 1024 * 1024;

/**
 * Runs argv on another machine by the system's ssh. It has the person's own configuration, agents and keys, and asks on the
 * terminal what it has to ask; the remote shell gets each word quoted.
 *
 * @throws AgentError as `opensshFailure` if ssh itself fails; the signal's reason
 */
export async function runBySsh(
  { user, host, port }: SshTarget,
  argv: readonly string[],
  { signal }: { signal: AbortSignal },
): Promise<RemoteEnd> {
  const args = [
    ...['-T', '-o', 'ClearAllForwardings=yes', '-o', 'ForwardAgent=no', '-o', 'ConnectTimeout=20'],
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    host,
    shellLine(argv),
  ];
  const end = await new Promise<RemoteEnd>((resolve, reject) => {
    const child = spawn('ssh', args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environmentOfPrograms(),
    });
    const stop = (): void => {
      child.kill('SIGTERM');
    };
    signal.addEventListener('abort', stop, { once: true });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-MOST_CHARACTERS);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-65_536);
    });
    child.on('error', (cause) => {
      reject(
        new AgentError('CONFIG_INVALID', `ssh can't be started: ${cause.message}`, {
          hint: 'install openssh-client',
          cause,
        }),
      );
    });
    child.on('close', (status) => {
      signal.removeEventListener('abort', stop);
      resolve({ status: status ?? 255, stdout, stderr });
    });
  });
  signal.throwIfAborted();
  if (end.status === 255) {
    throw opensshFailure({ where: host, user: user ?? 'the usual user' }, end);
  }
  return end;
}
