import { wallClockMs } from '@bakker/command-line';
import {
  CLONE_FILE_VERSION,
  GET_MANY_VERSION,
  PROTOCOL_EXTENSION,
  PROTOCOL_VERSIONS,
  REFUSAL,
  VERB,
} from '@bakker/impl-format/storage';
import { FolderHandle, O_PATH, hasCode, hasHungUp, openFolderBeneath, widenPipe } from '@bakker/linux';
import { EXTENSION, SftpRefusal, SftpSessionError, serveSftp } from '@bakker/sftp/server';
import type { SftpService } from '@bakker/sftp/server';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { VERSION } from '../../cli/version.ts';
import { StorageError } from '../../errors.ts';
import { DEFAULT_POLICY } from '../../policy/account-policy.ts';
import type { AccountPolicy } from '../../policy/account-policy.ts';
import type { SessionOptions, ShellSession } from '../../ports/shell-session.ts';
import { refusalOf } from '../../session/refusals.ts';
import { Session } from '../../session/session.ts';
import { DiskAccount } from './disk-account.ts';
import { SEATS, trySeat, tryStandingRoom } from './locks.ts';
import { POLICY_FILE, readPolicyText } from './policy-text.ts';

/** Serves the standard streams of this process. */
export const shellSession: ShellSession = {
  visit: () => ({
    isTerminal: process.stdin.isTTY || process.stdout.isTTY,
    command: process.env['SSH_ORIGINAL_COMMAND'],
  }),

  async serve({ rootDir, account: name, role, mayRead, signal }) {
    // Whatever the session of sshd says: what is made here is the account's alone.
    process.umask(0o077);
    await using opened = new AsyncDisposableStack();
    const gone = new AbortController();
    let folder: FolderHandle;
    let account: DiskAccount;
    let seat: Disposable | undefined;
    try {
      folder = opened.use(openAccount(rootDir, name));
      account = opened.use(
        new DiskAccount({
          name,
          account: folder,
          mayWrite: role === 'backup',
          policy: await readPolicy(folder),
          nowMs: wallClockMs,
          signal: gone.signal,
        }),
      );
      seat = trySeat(folder, { mayMake: role === 'backup' });
    } catch (error) {
      await sayWhyNot(error);
      throw error;
    }
    using _seat = seat ?? (await refuseForWantOfSeats(folder, name));
    using session = new Session({
      account,
      rights: { role, mayRead },
      program: `bakker-storage ${VERSION}`,
      nowMs: wallClockMs,
    });
    widenPipe(INPUT, INPUT_BYTES);
    const served = serveSftp({ input: openInput(), output: openOutput() }, session, {
      extensions: [
        ANNOUNCED,
        [VERB.cloneFile, CLONE_FILE_VERSION],
        [VERB.getMany, GET_MANY_VERSION],
        [EXTENSION.STATVFS, '2'],
        [EXTENSION.LIMITS, '1'],
        [EXTENSION.FSYNC, '1'],
      ],
      onServiceError: (error) => {
        // What ended because nobody waits for it.
        if (gone.signal.aborted) return;
        process.stderr.write(`bakker-storage: unexpected ${String(error)}\n`);
      },
    });
    signal.addEventListener('abort', () => served.abort('the storage was told to stop'));
    // While much is under way nothing is read, and the end of the input would be met only behind all of it.
    const watch = setInterval(() => {
      if (hasHungUp(OUTPUT)) served.abort('the client has gone');
    }, WATCH_MS);
    served.signal.addEventListener('abort', () => {
      // From here on its number may be another file's.
      clearInterval(watch);
      gone.abort(served.signal.reason);
    });
    try {
      await served.finished;
    } catch (error) {
      // A client that is killed, or whose line breaks, is every day's.
      if (!(error instanceof SftpSessionError)) throw error;
      throw new StorageError('LINE_BROKEN', error.message, { cause: error });
    } finally {
      clearInterval(watch);
    }
  },
};

/**
 * Refuses whatever the client asks for, with the reason: sshd passes nothing on to it of what a subsystem writes to standard
 * error. Takes no seat, and soon ends.
 */
async function sayWhyNot(error: unknown): Promise<void> {
  const words = refusalOf(error)?.message ?? 'the storage failed, and its own log says why';
  const refusal = new SftpRefusal(REFUSAL.FAILED, words.replaceAll(/\s*\n\s*/g, ' '));
  const service: SftpService = { handle: () => Promise.reject(refusal) };
  const served = serveSftp({ input: openInput(), output: openOutput() }, service, {
    extensions: [ANNOUNCED],
  });
  const timer = setTimeout(() => served.abort('nothing is served here'), REFUSED_MS);
  await served.finished.catch(() => undefined);
  clearTimeout(timer);
}

/** @throws StorageError LOCKED, once the client was told, or at once if others are being told */
async function refuseForWantOfSeats(account: FolderHandle, name: string): Promise<never> {
  const error = new StorageError(
    'LOCKED',
    `${SEATS} sessions are open in the account ${name}, and no more are served`,
    { hint: 'wait until one has ended' },
  );
  using room = tryStandingRoom(account) ?? null;
  if (room !== null) await sayWhyNot(error);
  throw error;
}

/** Sockets, for process.stdout blocks on a pipe while the client does not read. Files and /dev/null can't be sockets. */
function openInput(): Readable {
  return orElse(
    () => new Socket({ fd: INPUT, readable: true, writable: false }),
    () => process.stdin,
  );
}

function openOutput(): Writable {
  return orElse(
    () => new Socket({ fd: OUTPUT, readable: false, writable: true }),
    () => process.stdout,
  );
}

function orElse<Stream>(open: () => Stream, other: () => Stream): Stream {
  try {
    return open();
  } catch (error) {
    if (hasCode(error, 'ERR_INVALID_FD_TYPE')) return other();
    throw error;
  }
}

/** @throws StorageError USAGE, ACCOUNT_UNUSABLE */
function openAccount(rootDir: SessionOptions['rootDir'], name: string): FolderHandle {
  if (!FOLDER_NAME.test(name)) {
    throw new StorageError('USAGE', `${JSON.stringify(name)} is no name for an account`);
  }
  try {
    // The root need not be readable for the account's user: accounts don't see each other.
    using root = new FolderHandle(openSync(rootDir, O_PATH | constants.O_DIRECTORY));
    return openFolderBeneath(root, Buffer.from(name));
  } catch (error) {
    const why = hasCode(error, 'ENOENT')
      ? 'there is no such folder'
      : error instanceof Error
        ? error.message
        : String(error);
    throw new StorageError('ACCOUNT_UNUSABLE', `the account ${name} can't be opened: ${why}`, {
      cause: error,
      hint: "the storage's administrator provisions it",
    });
  }
}

/** The YAML reader is loaded only if there is something to read: most sessions start without. */
async function readPolicy(account: FolderHandle): Promise<AccountPolicy> {
  const text = readPolicyText(account);
  if (text === undefined) return DEFAULT_POLICY;
  const { parseAccountPolicy } = await import('../../policy/parse-policy.ts');
  return parseAccountPolicy(text, POLICY_FILE);
}

const ANNOUNCED = [PROTOCOL_EXTENSION, PROTOCOL_VERSIONS.join(',')] as const;
const INPUT = 0;
const OUTPUT = 1;
/** For what sshd decrypts while this process is at work; with 64 KiB a first run takes some 3 % more processor time. */
const INPUT_BYTES = 1024 * 1024;
/** For a client to ask, and to hear why not. */
const REFUSED_MS = 5000;
const WATCH_MS = 500;
/** One plain component: what `provision` makes, and what an administrator made by hand. */
const FOLDER_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;
