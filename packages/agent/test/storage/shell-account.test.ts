import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { joinStreams, openSftp } from '@bakker/sftp';
import { ShellAccount } from '../../src/adapters/shell/shell-account.ts';
import { forcedCommand } from '../../../../test/harness/shell-account.ts';
import type { ShellKey } from '../../../../test/harness/shell-account.ts';
import { checkAccountContract } from './account-contract.ts';

/** The real shell over a pipe: what sshd would start. */
async function openShell(folder: string, key: ShellKey = {}): Promise<ShellAccount> {
  const [program = '', ...args] = forcedCommand(folder, key);
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const client = await openSftp(joinStreams(child.stdout, child.stdin));
  const close = async () => {
    await client.end();
    child.stdin.end();
    await ended;
  };
  return ShellAccount.open({ client, address: 'the shell', close });
}

checkAccountContract("an account's shell", async () => {
  const root = await mkdtemp(join(tmpdir(), 'bakker-shell-test-'));
  const folder = join(root, 'server1');
  await mkdir(folder);
  return {
    folder,
    hasShell: true,
    open: () => openShell(folder),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
});
