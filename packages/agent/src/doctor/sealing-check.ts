import { formatCounted } from '@bakker/command-line';
import { needRecipients } from '../keys/change-recipients.ts';
import { keptKeyFile, recipientsFile } from '../keys/key-places.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import { ok, warn, type Finding } from './finding.ts';

const CHECK = 'sealing';

/**
 * Whom new runs are sealed to: without anybody, or with a damaged key, a backup sends nothing.
 *
 * @throws AgentError KEY_MISSING, KEY_DAMAGED
 */
export async function checkSealing(configFile: string, keys: KeyFiles): Promise<Finding> {
  const recipients = await needRecipients(recipientsFile(configFile), keys);
  const kept = keptKeyFile(configFile);
  if ((await keys.read(kept))?.isExposed === true)
    return warn(CHECK, `the private key ${kept} can be read by others than its owner`, `chmod 600 ${kept}`);
  const names = recipients.map(({ id, name }) => (name === '' ? id : `${id} (${name})`)).join(', ');
  return ok(CHECK, `new runs are sealed to ${formatCounted(recipients.length, 'key')}: ${names}`);
}
