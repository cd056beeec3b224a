import fs from 'node:fs';
import type { Config } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import type { Bandwidth } from '../limits/bandwidth.ts';
import type { Progress } from '../ports/progress.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import { LocalFileStore } from './plain/local-file-store.ts';
import { PlainAccount } from './plain/plain-account.ts';

export interface OpenOptions {
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly bandwidth?: Bandwidth | undefined;
  /** Makes the account's folder if it is missing: for enrolment only, a misspelt path must not become a new account. */
  readonly createFolder?: boolean;
}

/**
 * Opens the account that the configuration names.
 * @throws AgentError STORAGE_UNREACHABLE, HOST_KEY_CHANGED, AUTHENTICATION_FAILED, STORAGE_UNFIT
 */
export async function openAccount(
  config: Pick<Config, 'account' | 'ssh'>,
  options: OpenOptions,
): Promise<StorageAccount> {
  if (config.account.kind === 'local') {
    const { folder } = config.account;
    if (options.createFolder) fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new PlainAccount(new LocalFileStore(existing(folder)));
  }
  const { openSshAccount } = await import('./open-ssh-account.ts');
  return openSshAccount(config.account, config.ssh, options);
}

function existing(folder: string): string {
  if (fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return fs.realpathSync(folder);
  throw new AgentError('STORAGE_UNREACHABLE', `the storage folder ${folder} is not there`, {
    hint: 'mount the disk or share that it is on, or run bakker init for a new one',
  });
}
