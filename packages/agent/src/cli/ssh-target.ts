import { parseAccountAddress } from '../config/account-address.ts';
import { AgentError } from '../errors.ts';
import type { SshTarget } from '../ports/enrolment.ts';

/** Reads `root@host`, `host`, or `ssh://root@host:port`. @throws AgentError USAGE */
export function parseSshTarget(text: string, flag: string): SshTarget {
  const hasUser = text.includes('@');
  // A user has to be in an account's address; who is missing here is left to ssh's own configuration.
  const withUser = hasUser
    ? text
    : text.startsWith('ssh://')
      ? text.replace('ssh://', 'ssh://x@')
      : `x@${text}`;
  try {
    const address = parseAccountAddress(withUser.startsWith('ssh://') ? withUser : `${withUser}:`);
    if (address.kind === 'ssh' && address.path === '.') {
      return {
        user: hasUser ? address.user : undefined,
        host: address.host,
        port: /:[0-9]+\/?$/.test(text) && text.startsWith('ssh://') ? address.port : undefined,
      };
    }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
  }
  throw new AgentError('USAGE', `${flag} ${text} names no machine`, {
    hint: 'write root@host, or ssh://root@host:port',
  });
}
