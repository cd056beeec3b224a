import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { AccountOptions, SshAccount, SshServer } from './sshd.ts';

/** The launcher that forced commands name. */
export const BAKKER_STORAGE = resolve(import.meta.dirname, '../../packages/storage-shell/bin/bakker-storage');

export interface ShellKey {
  readonly role?: 'backup' | 'restore';
  /** False: `--no-read`. */
  readonly mayRead?: boolean;
}

/** An account whose key has `bakker-storage shell` as its forced command. */
export async function addShellAccount(
  server: SshServer,
  key: ShellKey = {},
  options: AccountOptions = {},
): Promise<SshAccount> {
  const account = await server.addAccount({ ...options, authorised: false });
  await authoriseShell(account, key);
  return account;
}

/** Replaces what the account's key may do. */
export async function authoriseShell(account: SshAccount, key: ShellKey = {}): Promise<void> {
  const command = forcedCommand(account.folder, key).join(' ');
  const publicKey = await readFile(`${account.identityFile}.pub`, 'utf8');
  await account.authorise([`restrict,command="${command}" ${publicKey.trim()}`]);
}

/** What serves an account that lies at `folder`. */
export function forcedCommand(folder: string, { role = 'backup', mayRead = true }: ShellKey = {}): string[] {
  const own = ['--root', dirname(folder), '--account', basename(folder), '--role', role];
  return [BAKKER_STORAGE, 'shell', ...own, ...(mayRead ? [] : ['--no-read'])];
}

/**
 * Runs a command of the storage's administrator for the account that lies at `folder`. tap follows each child by NODE_OPTIONS,
 * and one that has become the account's user can't write its notes.
 */
export function administer(
  folder: string,
  command: (account: string) => readonly string[],
): { status: number | null; stdout: string; stderr: string } {
  const words = [...command(basename(folder)), '--root', dirname(folder)];
  return spawnSync('env', ['-u', 'NODE_OPTIONS', BAKKER_STORAGE, ...words], { encoding: 'utf8' });
}
