import { AgentError, type ErrorCode } from '../../errors.ts';

interface Failure {
  readonly sign: RegExp;
  readonly code: ErrorCode;
  readonly hint: string;
}

const HOST_KEY_HINT =
  "ask the storage's administrator; only if the key is genuine, correct `host-key:` or your known_hosts";

/** What ssh (LC_ALL=C) says, the more telling signs first. */
const FAILURES: readonly Failure[] = [
  {
    sign: /Host key verification failed|HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known/,
    code: 'HOST_KEY_CHANGED',
    hint: HOST_KEY_HINT,
  },
  {
    sign: /Permission denied|Too many authentication failures|Load key ".*": (?!No such file)/,
    code: 'AUTHENTICATION_FAILED',
    hint: "add the key to that user's authorized_keys, or see what `ssh -v` offers with these options",
  },
  {
    sign: /Bad configuration option|command-line: line|unknown option|[Bb]ad .*(option|value|argument)|usage: ssh/,
    code: 'CONFIG_INVALID',
    hint: 'correct `ssh-options:`, or your ~/.ssh/config',
  },
  {
    sign: /^spawn ssh ENOENT/,
    code: 'CONFIG_INVALID',
    hint: 'install openssh-client, or set `transport: ssh2`',
  },
  {
    sign: /subsystem request failed/,
    code: 'STORAGE_UNFIT',
    hint: 'its sshd_config needs `Subsystem sftp internal-sftp`',
  },
  {
    sign: /administratively prohibited|open failed|Session open refused/,
    code: 'STORAGE_REFUSED',
    hint: 'lower `channels:` in the configuration, or raise MaxSessions in the sshd_config of the storage',
  },
];

/** Translates how an ssh ended before an SFTP server answered. */
export function opensshFailure(
  about: { where: string; user: string },
  end: { status: number | null; stderr: string },
): AgentError {
  const said = lastLine(end.stderr);
  const detail = said === '' ? '' : `: ${said}`;
  const mismatch = /bakker: shown (\S+), expected (\S+)/.exec(end.stderr);
  if (mismatch !== null) {
    const keys = `shows the host key ${mismatch[1]}, expected ${mismatch[2]}`;
    return new AgentError('HOST_KEY_CHANGED', `${about.where} ${keys}`, { hint: HOST_KEY_HINT });
  }
  const known = FAILURES.find(({ sign }) => sign.test(end.stderr));
  if (known !== undefined) {
    return new AgentError(known.code, `ssh ${about.user}@${about.where}${detail}`, { hint: known.hint });
  }
  // ssh ends with 255 for its own failures, else with the status of what ran on the storage.
  if (end.status !== 255) {
    return new AgentError(
      'STORAGE_UNFIT',
      `the account ${about.user}@${about.where} does not answer as an SFTP server${detail}`,
      {
        hint: 'its key or user must have no forced command other than internal-sftp, and no shell start-up file that prints',
      },
    );
  }
  return new AgentError('STORAGE_UNREACHABLE', `ssh does not reach ${about.user}@${about.where}${detail}`, {
    hint: 'check the address, the network, and jump hosts in ~/.ssh/config',
  });
}

/** The last line that says something, safe for a terminal. */
export function lastLine(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return (lines.at(-1) ?? '').replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
}
