import { isAtOrBelow } from '@bakker/impl-format';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bindMount, hasCode, makePrivate, makeReadOnly, readMounts, unmount } from '@bakker/linux';
import type { Mount } from '@bakker/linux';
import { AgentError } from '../../errors.ts';
import { showPath } from '../../source/show-path.ts';
import { untilIdle } from './busy.ts';

const PREFIX = 'view-';
/** Somebody who looks around, or a scan that was killed, may be in there for a moment. */
const PATIENCE_MS = 5_000;
const RETRY_MS = 100;
/** More can't help: something else hides what is to be unmounted. */
const MOST_LAZY_ROUNDS = 3;

/** A folder of its own in which snapshots are mounted: `volumes/N` each by itself, `root/` put together. */
export interface ViewFolder {
  readonly path: string;
  readonly busyFile: string;
  /** The view itself. */
  readonly root: Buffer;
  volume(index: number): Buffer;
}

/** Where everything will be; makes nothing but the folder that all views are in. */
export function viewFolderAt(viewsDir: string, id: string): ViewFolder {
  mkdirSync(viewsDir, { recursive: true, mode: 0o700 });
  const path = join(realpathSync(viewsDir), `${PREFIX}${id}`);
  return {
    path,
    busyFile: join(path, 'busy'),
    root: Buffer.from(join(path, 'root')),
    volume: (index) => Buffer.from(join(path, 'volumes', String(index))),
  };
}

export function makeViewFolder(view: ViewFolder): void {
  // another bakker may just have removed the folder of all views, as the last that used it
  mkdirSync(view.path, { recursive: true, mode: 0o700 });
  mkdirSync(join(view.path, 'volumes'), { mode: 0o700 });
  mkdirSync(view.root, { mode: 0o700 });
}

/** Shows `from` (without what is mounted below it) at `at`, read-only. @throws the errno error */
export function showReadOnly(from: Buffer, at: Buffer): void {
  bindMount(from, at);
  makeReadOnly(at);
}

/**
 * Unmounts everything at and below the folder, newest first. What stays in use is taken off lazily: gone from here at once,
 * while its device is busy until its last user ends, so removing its snapshot fails till then, and says so.
 */
export async function unmountBelow(folder: string, signal: AbortSignal): Promise<void> {
  const from = Date.now();
  for (let lazyRounds = 0; lazyRounds <= MOST_LAZY_ROUNDS;) {
    const mounts = readMounts();
    const inside = mounts.filter(({ mountPoint }) => isAtOrBelow(mountPoint, Buffer.from(folder)));
    if (inside.length === 0) return;
    cutOff(inside, mounts);
    const isLazy = Date.now() - from > PATIENCE_MS || signal.aborted;
    if (isLazy) lazyRounds++;
    let isBusy = false;
    // A mount is never below one that came after it, so a busy one keeps only those under it.
    for (const { mountPoint } of inside.toReversed()) isBusy = !tryUnmount(mountPoint, isLazy) || isBusy;
    if (isBusy) await delay(RETRY_MS);
  }
  throw new AgentError('SNAPSHOT_FAILED', `what is mounted below ${folder} can't be unmounted`, {
    hint: `see findmnt --submounts, unmount it, then run bakker recover`,
  });
}

/**
 * Removes the folders of a view. Never what is in them: a mount that is still there keeps them all. Nor while a command of its
 * freezing runs, which is known by a lock in there: without that, its snapshot would be looked for too early. Idempotent.
 */
export async function removeViewFolder(folder: string, signal: AbortSignal): Promise<void> {
  if (!basename(folder).startsWith(PREFIX)) throw new Error(`${folder} is no view of bakker's`);
  await unmountBelow(folder, signal);
  await untilIdle(join(folder, 'busy'), signal);
  const volumes = join(folder, 'volumes');
  for (const name of namesIn(volumes)) removeFolder(join(volumes, name));
  removeFolder(volumes);
  removeFolder(join(folder, 'root'));
  try {
    unlinkSync(join(folder, 'busy'));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  removeFolder(folder);
  try {
    rmdirSync(dirname(folder));
  } catch {
    // other views are there, or it is not ours to remove
  }
}

/** A mounted folder held open: whatever happens to the mount, it never looks like the empty folder below. */
export class HeldMount implements Disposable {
  readonly path: Buffer;
  readonly #fd: number;
  readonly #device: bigint;

  /** @throws the errno error */
  constructor(path: Buffer) {
    this.path = path;
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    this.#device = fstatSync(this.#fd, { bigint: true }).dev;
  }

  /** @throws AgentError SNAPSHOT_FAILED if something else is there now, or it can't be read */
  check(name: Buffer): void {
    const seen = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    if (seen?.dev !== this.#device) throw lost(name, 'is not mounted any more: somebody unmounted it');
    try {
      readdirSync(`/proc/self/fd/${this.#fd}`);
    } catch (error) {
      throw lost(name, "can't be read any more", error);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

export function isFolder(path: Buffer): boolean | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory();
}

/** Unmounting what shares its mounts with the live tree would unmount there, too. */
function cutOff(inside: readonly Mount[], all: readonly Mount[]): void {
  for (const mount of inside) {
    const isShared =
      mount.peerGroup !== undefined &&
      all.some((other) => other.peerGroup === mount.peerGroup && !inside.includes(other));
    if (isShared) makePrivate(mount.mountPoint);
  }
}

function tryUnmount(mountPoint: Buffer, isLazy: boolean): boolean {
  try {
    unmount(mountPoint, { isLazy });
    return true;
  } catch (error) {
    if (hasCode(error, 'EBUSY') && !isLazy) return false;
    throw error;
  }
}

function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function lost(name: Buffer, what: string, cause?: unknown): AgentError {
  return new AgentError('SNAPSHOT_FAILED', `the snapshot of ${showPath(name)} ${what}`, {
    hint: 'see the kernel log, and who else works on the machine; then run the backup again',
    cause,
  });
}
