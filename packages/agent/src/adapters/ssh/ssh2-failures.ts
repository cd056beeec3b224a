import { AgentError } from '../../errors.ts';
import { restrictedLine } from './authorized-keys.ts';
import type { SshAddress } from './connect.ts';
import type { Identity } from './identity.ts';
import { hostAndPort } from './tcp.ts';

/** Translates what ssh2 says when a log-in fails. */
export function logInFailure(
  error: Error,
  { address, identity }: { address: SshAddress; identity: Identity },
): AgentError {
  const where = hostAndPort(address.host, address.port);
  const level = 'level' in error ? error.level : undefined;
  if (level === 'client-authentication') return keyRefused({ address, identity, cause: error });
  if (level === 'client-timeout') {
    return new AgentError('STORAGE_UNREACHABLE', `${where} does not finish the SSH handshake in time`, {
      hint: 'check that an SSH server listens on this port, and its load',
      cause: error,
    });
  }
  return new AgentError('STORAGE_UNREACHABLE', `no SSH connection to ${where}: ${error.message}`, {
    hint: 'check that an SSH server listens on this port, and its log',
    cause: error,
  });
}

/** The storage does not take the key; the hint holds the line that would make it. */
export function keyRefused(about: { address: SshAddress; identity: Identity; cause?: unknown }): AgentError {
  const { address, identity, cause } = about;
  const where = hostAndPort(address.host, address.port);
  return new AgentError(
    'AUTHENTICATION_FAILED',
    `${where} refuses the key ${identity.file} for the user ${address.user}`,
    {
      hint:
        `where bakker-storage keeps accounts, run there, if this one is the server's own: bakker-storage provision ${address.user} --key '${identity.publicKey}'; ` +
        `if it is another server's, which this one may read: bakker-storage grant ${address.user} with that key; ` +
        `elsewhere, add this line to that user's authorized_keys: ${restrictedLine(identity.publicKey)}`,
      cause,
    },
  );
}
