import { AgentError } from '../errors.ts';
import type { SshTarget } from '../ports/enrolment.ts';
import type { EnrolRequest, EnrolTools } from './enrol.ts';
import { shellLine } from './shell-words.ts';

export interface ProvisionRequest {
  /** Who may provision, and where. */
  readonly administrator: SshTarget;
  /** `10G`; the storage reads it. */
  readonly size: string | undefined;
  readonly ceiling: string | undefined;
  readonly backend: string | undefined;
  /** The key of this server reads nothing back. */
  readonly noRead: boolean;
  /** `bakker-storage`, or where it is on the storage. */
  readonly program: string;
}

/** What the storage's administrator runs, on a line of its own. */
export function provisionLine(user: string, publicKey: string): string {
  return shellLine(['bakker-storage', 'provision', user, '--key', publicKey, '--size', '10G']);
}

/**
 * Makes the account on the storage, or sees that it is there, with this server's key.
 *
 * @returns the host keys that the storage says are its own; empty if nothing was asked for, or it did not say
 * @throws AgentError USAGE, STORAGE_REFUSED with what the storage said, STORAGE_UNREACHABLE, AUTHENTICATION_FAILED
 */
export async function provisionAccount(
  { account, provision }: EnrolRequest,
  { tools, identityFile }: { tools: EnrolTools; identityFile: string | undefined },
): Promise<readonly string[]> {
  if (provision === undefined) return [];
  if (account.kind === 'local') {
    throw new AgentError('USAGE', '--provision: a local folder needs no account on a storage');
  }
  if (identityFile === undefined) {
    throw new AgentError('USAGE', '--provision needs to know which key the account is for', {
      hint: 'add --identity FILE',
    });
  }
  const { administrator, size, ceiling, backend, noRead, program } = provision;
  const argv = [
    ...[program, 'provision', account.user, '--key', await tools.enrolment.publicKey(identityFile)],
    ...(size === undefined ? [] : ['--size', size]),
    ...(ceiling === undefined ? [] : ['--ceiling', ceiling]),
    ...(backend === undefined ? [] : ['--backend', backend]),
    ...(noRead ? ['--no-read'] : []),
    '--json',
  ];
  tools.progress.stage(`provisioning ${account.user} on ${administrator.host}`);
  const { status, stdout, stderr } = await tools.enrolment.runBySsh(administrator, argv);
  if (status !== 0) throw refused({ status, stderr, program, host: administrator.host });
  const hostKeys = hostKeysOf(stdout);
  if (hostKeys === undefined) {
    throw new AgentError(
      'STORAGE_REFUSED',
      `${program} on ${administrator.host} answered what it should not`,
      {
        hint: `run it there by hand: ${shellLine(argv)}`,
      },
    );
  }
  tools.progress.message(`the account ${account.user} is ready on ${administrator.host}`);
  return hostKeys;
}

function refused(about: { status: number; stderr: string; program: string; host: string }): AgentError {
  const { status, stderr, program, host } = about;
  if (status === 127) {
    return new AgentError('STORAGE_REFUSED', `there is no ${program} on ${host}`, {
      hint: 'install bakker on the storage, or say where it is: --storage-program /usr/local/lib/bakker/…/bakker-storage',
    });
  }
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const said = lines.slice(-2).map((line) => line.trim().replace(/[\x00-\x1f\x7f-\x9f]/g, '?'));
  return new AgentError(
    'STORAGE_REFUSED',
    `${host} did not provision the account: ${said.join('; ') || `status ${status}`}`,
  );
}

/** Undefined if it is not what `bakker-storage provision --json` prints. */
function hostKeysOf(stdout: string): string[] | undefined {
  try {
    // A login shell may have printed something before.
    const answer: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    if (typeof answer !== 'object' || answer === null || !('account' in answer) || !('hostKeys' in answer))
      return undefined;
    const { hostKeys } = answer;
    if (!Array.isArray(hostKeys)) return undefined;
    return hostKeys.filter(
      (key): key is string => typeof key === 'string' && /^SHA256:[A-Za-z0-9+/]{43}$/.test(key),
    );
  } catch {
    return undefined;
  }
}
