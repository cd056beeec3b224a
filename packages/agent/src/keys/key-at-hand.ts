import type { KeyFiles } from '../ports/key-files.ts';

/**
 * Whether somebody put a private key where one is looked for, so that nobody has to be asked: by the environment, as a credential of
 * systemd, or on this server. Whether it is one is not looked at, and no code for keys is loaded.
 */
export async function isKeyAtHand(keys: KeyFiles, keptFile: string): Promise<boolean> {
  const variables = ['BAKKER_IDENTITY_KEY', 'BAKKER_IDENTITY_KEY_FILE'];
  if (variables.some((name) => keys.environment(name) !== undefined)) return true;
  try {
    const text = (await readCredential(keys, 'bakker-identity-key')) ?? (await keys.read(keptFile))?.text;
    return text !== undefined;
  } catch {
    return true; // it is there, and for other eyes
  }
}

/** What systemd hands over under this name. */
export async function readCredential(keys: KeyFiles, name: string): Promise<string | undefined> {
  const folder = keys.environment('CREDENTIALS_DIRECTORY');
  return folder === undefined ? undefined : (await keys.read(`${folder}/${name}`))?.text;
}
