import { hasCode } from '@bakker/linux';
import { spawn } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { StorageError } from '../../errors.ts';
import type { AccountOwners } from '../../ports/account-owners.ts';

export const accountOwners: AccountOwners = {
  list(rootDir) {
    try {
      return readdirSync(rootDir)
        .filter((name) => !name.startsWith('.') && mayBeAccount(rootDir, name))
        .sort();
    } catch (cause) {
      if (!hasCode(cause, 'ENOENT', 'ENOTDIR', 'EACCES')) throw cause;
      throw new StorageError('NOT_FOUND', `the folder of accounts ${rootDir} can't be read`, {
        hint: '--root names another',
        cause,
      });
    }
  },
  become(rootDir, account) {
    const { uid, gid } = ownerOf(rootDir, account);
    if (!isRoot() || uid === 0) return;
    flushCompileCache(); // at its end it may not write to root's any more
    try {
      // In this order: who is not root any more can't leave a group.
      process.setgroups?.([]);
      process.setgid?.(gid);
      process.setuid?.(uid);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StorageError('FAILED', `root may not become the user ${uid} of ${account} here: ${why}`, {
        hint: 'what this was started by must leave it CAP_SETUID and CAP_SETGID',
        cause,
      });
    }
  },
  isForeign(rootDir, account) {
    return isRoot() && ownerOf(rootDir, account).uid !== 0;
  },
  delegate({ rootDir, account, signal }, words) {
    const { uid, gid } = ownerOf(rootDir, account);
    const program = process.argv[1] ?? '';
    // libuv leaves root's groups before it becomes the user. The words are an argv, not a command line.
    const child = spawn(
      process.execPath,
      [...process.execArgv, program, ...words, '--root', rootDir, '--json'],
      {
        uid,
        gid,
        cwd: '/',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const stop = (): void => void child.kill('SIGTERM');
    signal.addEventListener('abort', stop, { once: true });
    const pieces: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status, killedBy) => {
        signal.removeEventListener('abort', stop);
        if (status === null && !signal.aborted) reject(wasKilled(account, killedBy));
        else resolve({ exitStatus: status ?? KILLED, value: parse(Buffer.concat(pieces).toString()) });
      });
    });
  },
};

const isRoot = (): boolean => process.geteuid?.() === 0;

const KILLED = 1;

/** It could not say so itself. */
function wasKilled(account: string, signal: string | null): StorageError {
  return new StorageError(
    'FAILED',
    `the process that worked in ${account} was ended by ${signal ?? 'a signal'}`,
    {
      hint: 'look whether the memory ran out (dmesg), then run the command again: it completes what was begun',
    },
  );
}

function isAccount(rootDir: string, name: string): boolean {
  return lstatSync(join(rootDir, name, '.bakker'), { throwIfNoEntry: false })?.isDirectory() === true;
}

/** One whose disk fails is named when its turn comes, and must not keep the others from theirs. */
function mayBeAccount(rootDir: string, name: string): boolean {
  try {
    return isAccount(rootDir, name);
  } catch {
    return true;
  }
}

function ownerOf(rootDir: string, account: string): { uid: number; gid: number } {
  try {
    const stat = lstatSync(join(rootDir, account), { throwIfNoEntry: false });
    if (stat?.isDirectory() === true && isAccount(rootDir, account)) return { uid: stat.uid, gid: stat.gid };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StorageError('ACCOUNT_UNUSABLE', `the account ${account} can't be looked at: ${why}`, {
      hint: 'look at its disk (dmesg)',
      cause,
    });
  }
  throw new StorageError('NOT_FOUND', `there is no account ${account} in ${rootDir}`, {
    hint: 'bakker-storage accounts lists them; --root names another folder',
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
