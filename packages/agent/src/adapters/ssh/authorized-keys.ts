import { readFile } from 'node:fs/promises';
import ssh2 from 'ssh2';
import { publicKeyText, readIdentity } from './identity.ts';

/** Lets a key do nothing but SFTP: no shell, no forwarding, no terminal. */
export function restrictedLine(publicKey: string): string {
  return `restrict,command="internal-sftp" ${publicKey} bakker`;
}

/**
 * The line for authorized_keys of a private key file.
 *
 * @throws AgentError AUTHENTICATION_FAILED as `publicKeyOf`
 */
export async function authorizedKeysLine(identityFile: string): Promise<string> {
  return restrictedLine(await publicKeyOf(identityFile));
}

/**
 * The public half of a private key file; from its `.pub` beside it if the key is protected by a passphrase.
 *
 * @throws AgentError AUTHENTICATION_FAILED if neither can be read
 */
export async function publicKeyOf(identityFile: string): Promise<string> {
  try {
    return (await readIdentity(identityFile)).publicKey;
  } catch (error) {
    const publicKey = await readPublicKey(`${identityFile}.pub`);
    if (publicKey === undefined) throw error;
    return publicKey;
  }
}

async function readPublicKey(file: string): Promise<string | undefined> {
  try {
    const key = ssh2.utils.parseKey(await readFile(file));
    return key instanceof Error ? undefined : publicKeyText(key);
  } catch {
    return undefined;
  }
}
