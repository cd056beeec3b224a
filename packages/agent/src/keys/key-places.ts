import { dirname, join } from 'node:path';

/** Beside the configuration; it holds nothing secret. */
export function recipientsFile(configFile: string): string {
  return join(dirname(configFile), 'recipients');
}

/** A private key that the owner chose to keep on the server. */
export function keptKeyFile(configFile: string): string {
  return join(dirname(configFile), 'identity.key');
}
