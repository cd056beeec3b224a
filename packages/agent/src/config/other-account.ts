import { AgentError } from '../errors.ts';
import { parseAccountAddress } from './account-address.ts';
import type { AccountAddress, Config } from './config.ts';

/**
 * The address of an account that this server was granted. A name stands for that user on the same host; where this
 * account's folder ends in its own name, the other's ends in the other's.
 *
 * @throws AgentError USAGE for a name where accounts have none, or an account on another machine: the key and the pinned host
 * key in the configuration are for this one
 */
export function otherAccountAddress(text: string, { account: own }: Pick<Config, 'account'>): AccountAddress {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(text)) {
    if (own.kind === 'local') {
      throw new AgentError('USAGE', `--account ${text}: folders on this machine have no names`, {
        hint: 'give the absolute path of the other folder',
      });
    }
    const ending = `/${own.user}`;
    const path = own.path.endsWith(ending) ? `${own.path.slice(0, -ending.length)}/${text}` : own.path;
    return { ...own, user: text, path };
  }
  const other = parseAccountAddress(text);
  if (other.kind === 'local' || (own.kind === 'ssh' && other.host === own.host && other.port === own.port))
    return other;
  throw new AgentError(
    'USAGE',
    `--account ${text} is on another machine than the account of the configuration`,
    {
      hint: 'write a configuration for it, bakker init ACCOUNT --config FILE, and name that with --config',
    },
  );
}
