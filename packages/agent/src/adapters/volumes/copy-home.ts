import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  renameSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import {
  bindMount,
  DIRENT,
  hasCode,
  listDirectory,
  openFolder,
  openFolderBeneath,
  removeFolderAt,
  syncFilesystem,
  tryLock,
  unlinkAt,
} from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { AgentError } from '../../errors.ts';
import { showPath } from '../../source/show-path.ts';
import { LEFT_OUT_MARKER } from './btrfs.ts';

/** On the file system that it copies: `tree/` is the copy, `state` says of what, `new/` and `trash/` are on their way. */
export const COPY_FOLDER = '.bakker-copy';
const NAMES = { tree: Buffer.from('tree'), new: Buffer.from('new'), trash: Buffer.from('trash') } as const;
/** A copy stops while the file system still has this share of its room for everybody else. */
const LEAST_FREE_SHARE = 0.05;

/** The folder of a copy, locked while it is open. */
export class CopyHome implements Disposable {
  readonly path: Buffer;
  readonly tree: FolderHandle;
  readonly fresh: FolderHandle;
  readonly trash: FolderHandle;
  readonly #lockFd: number;
  #names = 0;

  /** @throws AgentError SNAPSHOT_FAILED if another run uses it; the errno error */
  constructor(mountPoint: Buffer) {
    this.path = Buffer.concat([
      mountPoint.length === 1 ? Buffer.alloc(0) : mountPoint,
      Buffer.from(`/${COPY_FOLDER}`),
    ]);
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    this.#lockFd = openSync(this.at('lock'), constants.O_RDWR | constants.O_CREAT, 0o600);
    if (!tryLock(this.#lockFd)) {
      closeSync(this.#lockFd);
      throw new AgentError('SNAPSHOT_FAILED', `another run uses the copy in ${showPath(this.path)}`, {
        hint: 'wait until it has ended',
      });
    }
    writeFileSync(this.at(LEFT_OUT_MARKER), '');
    for (const name of Object.values(NAMES)) mkdirSync(this.at(name), { recursive: true, mode: 0o700 });
    this.tree = openFolder(this.at(NAMES.tree));
    this.fresh = openFolder(this.at(NAMES.new));
    this.trash = openFolder(this.at(NAMES.trash));
    this.clear();
  }

  at(name: string | Buffer): Buffer {
    return Buffer.concat([this.path, Buffer.from('/'), Buffer.from(name)]);
  }

  /** A name that nothing has in `new/` and `trash/`. */
  newName(): Buffer {
    return Buffer.from(String(this.#names++));
  }

  /** Removes what is half made or thrown away. */
  clear(): void {
    emptyFolder(this.fresh);
    emptyFolder(this.trash);
  }

  /** From now on the next run builds on `state`: what it speaks of is on the disk. */
  settle(state: Buffer): void {
    syncFilesystem(this.tree.fd);
    renameSync(state, this.at('state'));
  }

  /** @throws AgentError SNAPSHOT_FAILED before the file system is full */
  checkRoom(): void {
    const { blocks, bavail } = statfsSync(this.path);
    if (bavail >= blocks * LEAST_FREE_SHARE) return;
    throw new AgentError(
      'SNAPSHOT_FAILED',
      `the copy in ${showPath(this.path)} stopped: less than ${LEAST_FREE_SHARE * 100} % of the file system is free`,
      { hint: 'make room, exclude what need not be kept, or choose another "snapshot"' },
    );
  }

  show(at: Buffer): void {
    bindMount(this.at(NAMES.tree), at);
  }

  [Symbol.dispose](): void {
    for (const folder of [this.tree, this.fresh, this.trash]) folder[Symbol.dispose]();
    closeSync(this.#lockFd);
  }
}

/** Removes the file of that name if it is there. */
export function removeFile(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** Removes everything in a folder of our own. */
function emptyFolder(folder: FolderHandle): void {
  using opened = openFolderBeneath(folder, Buffer.alloc(0));
  const names = listDirectory(opened.fd);
  for (let number = 0; number < names.count; number++) {
    const name = Buffer.from(names.name(number));
    if (names.type(number) === DIRENT.DIRECTORY) {
      using below = openFolderBeneath(opened, name);
      emptyFolder(below);
      removeFolderAt({ folder: opened, name });
    } else unlinkAt({ folder: opened, name });
  }
}
