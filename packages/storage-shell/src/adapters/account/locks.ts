import { constants, fstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  FolderHandle,
  fail,
  hasCode,
  libc,
  openBeneath,
  openFolderBeneath,
  tryLockByte,
} from '@bakker/linux';
import { PRIVATE_FOLDER } from '@bakker/impl-format/storage';
import { StorageError } from '../../errors.ts';

/*
 * Three locks keep a session and retention out of each other's way, and a fourth two scrubs. All are flocks: the kernel drops them when their
 * process dies, so none is ever left behind.
 *
 * - `.bakker/lock`: the one writing session, from `begin` to its end. Retention does not take it: a session may last for
 *   hours, and a server that never ends one must not keep its old runs for ever.
 * - the folder `.bakker`: whoever renames at the top of the account (what `begin` mends, the renames of `publish`, each
 *   single removal, `undelete`) or rewrites one of the small files of `.bakker`. Held for milliseconds, and not
 *   twice by one process. A folder, so that a full file system has room for it.
 * - the folder of a run itself: shared by a session that clones or links from it, exclusive by who removes it. A session
 *   keeps its parent by this; other runs may go, and their links are answered with "not there".
 * - the folder `.bakker/scrub`: the one scrub, which keeps in memory what it is going to write there and to hurt.json.
 */

/** A lock that is held; disposing lets go of it. */
export type HeldLock = Disposable;

/** Takes the lock of the one writing session; undefined if another has it. @throws LibcError */
export function trySessionLock(account: FolderHandle): HeldLock | undefined {
  return lock(
    openBeneath(account, SESSION_LOCK, { flags: SESSION_LOCK_FLAGS, mode: 0o600 }),
    LOCK_EX | LOCK_NB,
  );
}

/**
 * Takes one of the account's seats: so many sessions at once and no more, or the memory of one account's sessions would be
 * that of the whole storage. A seat is a byte of the lock's file, which is another lock than the file's own.
 *
 * On a file system that is mounted read-only nobody can take any, and nobody is kept from reading: that is when restores
 * are needed.
 *
 * @param mayMake - whether the file is made; where it is not there, nobody ever wrote, and there is nothing to read
 * @returns undefined if all are taken
 * @throws LibcError
 */
export function trySeat(account: FolderHandle, { mayMake }: { mayMake: boolean }): HeldLock | undefined {
  try {
    return lockOneOf(account, { flags: mayMake ? SESSION_LOCK_FLAGS : constants.O_RDWR, from: 0, to: SEATS });
  } catch (error) {
    if (hasCode(error, 'EROFS') || (!mayMake && hasCode(error, 'ENOENT'))) return NOTHING_HELD;
    throw error;
  }
}

/** Where those stand who found no seat, until they were told: they are few, too. @returns as `trySeat` @throws LibcError */
export function tryStandingRoom(account: FolderHandle): HeldLock | undefined {
  return lockOneOf(account, { flags: constants.O_RDWR, from: SEATS, to: SEATS + STANDING_ROOM });
}

/**
 * Takes the lock for renaming at the top of an account, waiting for whoever has it.
 *
 * @throws StorageError LOCKED after 30 s, LibcError
 */
export async function lockNames(account: FolderHandle): Promise<HeldLock> {
  const untilMs = performance.now() + MAX_WAIT_MS;
  for (let waitMs = 1; performance.now() < untilMs; waitMs = Math.min(waitMs * 2, 50)) {
    const held = lock(openFolderBeneath(account, PRIVATE), LOCK_EX | LOCK_NB);
    if (held !== undefined) return held;
    await sleep(waitMs);
  }
  throw new StorageError('LOCKED', 'another process has been renaming in this account for 30 s', {
    hint: 'fuser -v .bakker in the account shows which',
  });
}

/** The same without waiting; undefined if it is held, be it by this very process. @throws LibcError */
export function tryLockNames(account: FolderHandle): HeldLock | undefined {
  return lock(openFolderBeneath(account, PRIVATE), LOCK_EX | LOCK_NB);
}

/** Like `lockNames` where nothing can be awaited: blocks this process, which is a matter of milliseconds, and for ever if it
 * holds the lock itself: not for what a client may ask at any time. @throws LibcError */
export function lockNamesSync(account: FolderHandle): HeldLock {
  const held = lock(openFolderBeneath(account, PRIVATE), LOCK_EX);
  if (held === undefined) throw new Error('a blocking flock returned without the lock');
  return held;
}

/** A run that can't go away while this is held, and its folder. */
export interface HeldRun extends Disposable {
  readonly folder: FolderHandle;
}

/**
 * Holds a complete run, for the session that began with it as its parent.
 *
 * @returns undefined if it is not there, or is being removed at this moment
 * @throws LibcError
 */
export function holdRun(account: FolderHandle, run: string): HeldRun | undefined {
  return claimRun(account, run, LOCK_SH);
}

/** Claims a run for its removal; undefined if it is not there, `in-use` if a session holds it. @throws LibcError */
export function claimRunForRemoval(account: FolderHandle, run: string): HeldRun | 'in-use' | undefined {
  const claimed = claimRun(account, run, LOCK_EX);
  if (claimed !== undefined) return claimed;
  try {
    openFolderBeneath(account, Buffer.from(run))[Symbol.dispose]();
    return 'in-use';
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * Takes the lock of the one scrub, for as long as its folder is open.
 *
 * @param scrub - `.bakker/scrub`
 * @returns false if another has it
 * @throws LibcError
 */
export function tryLockScrub(scrub: FolderHandle): boolean {
  return flock(scrub.fd, LOCK_EX | LOCK_NB);
}

/** Two restores with as many channels as bakker opens at most. */
export const SEATS = 32;
const STANDING_ROOM = 8;
const NOTHING_HELD: HeldLock = { [Symbol.dispose]: () => undefined };
const SESSION_LOCK = Buffer.from('.bakker/lock');
const SESSION_LOCK_FLAGS = constants.O_RDWR | constants.O_CREAT;
const PRIVATE = Buffer.from(PRIVATE_FOLDER);
const MAX_WAIT_MS = 30_000;
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;
const EINTR = 4;

function lockOneOf(
  account: FolderHandle,
  { flags, from, to }: { flags: number; from: number; to: number },
): HeldLock | undefined {
  const handle = new FolderHandle(openBeneath(account, SESSION_LOCK, { flags, mode: 0o600 }));
  for (let place = from; place < to; place++) if (tryLockByte(handle.fd, place)) return handle;
  handle[Symbol.dispose]();
  return undefined;
}

function claimRun(account: FolderHandle, run: string, kind: number): HeldRun | undefined {
  const name = Buffer.from(run);
  const folder = openOrUndefined(account, name);
  if (folder === undefined) return undefined;
  let isHeld = false;
  try {
    // Between the opening and the lock it may have been renamed into the trash: the name is looked at again.
    isHeld = flock(folder.fd, kind | LOCK_NB) && isSameFolder(account, name, folder);
  } finally {
    if (!isHeld) folder[Symbol.dispose]();
  }
  return isHeld ? { folder, [Symbol.dispose]: () => folder[Symbol.dispose]() } : undefined;
}

function openOrUndefined(account: FolderHandle, name: Buffer): FolderHandle | undefined {
  try {
    return openFolderBeneath(account, name);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

function isSameFolder(account: FolderHandle, name: Buffer, folder: FolderHandle): boolean {
  using now = openOrUndefined(account, name) ?? null;
  if (now === null) return false;
  const [a, b] = [fstatSync(now.fd), fstatSync(folder.fd)];
  return a.ino === b.ino && a.dev === b.dev;
}

function lock(opened: number | FolderHandle, operation: number): HeldLock | undefined {
  const handle = typeof opened === 'number' ? new FolderHandle(opened) : opened;
  let isHeld = false;
  try {
    isHeld = flock(handle.fd, operation);
  } finally {
    if (!isHeld) handle[Symbol.dispose]();
  }
  return isHeld ? handle : undefined;
}

function flock(fd: number, operation: number): boolean {
  for (;;) {
    if (libc().flock(fd, operation) === 0) return true;
    const errno = libc().errno();
    if (errno === EWOULDBLOCK) return false;
    if (errno !== EINTR) fail('flock');
  }
}
