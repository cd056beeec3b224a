import { encodeTreeOutcome, incompleteName } from '@bakker/impl-format/storage';
import type { BeginReply, ObjectCounts, PublishReply, PublishRequest } from '@bakker/impl-format/storage';
import {
  BLOCK_UNIT_BYTES,
  FilesystemFlush,
  makeSymlinkAt,
  openFolderBeneath,
  renameNewAt,
  renameOverAt,
} from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { randomBytes } from 'node:crypto';
import { fstatSync, fsyncSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { NewLargeFile, NewRun, PutFile, StoredFile } from '../../ports/account.ts';
import type { SpaceGuard } from '../../ports/space-guard.ts';
import { removeTree } from '../runs/remove-tree.ts';
import { BLOCK_BYTES, inBlocks } from '../tree/inode-use.ts';
import { TreeCloner } from '../tree/tree-cloner.ts';
import { CarriedContent, removing } from './carried-content.ts';
import { disown, dropToken } from './carried.ts';
import type { DiskFreeze } from './disk-freeze.ts';
import { FolderCharges } from './folder-charges.ts';
import { LinkableFolders } from './linkable-folders.ts';
import { lockNames } from './locks.ts';
import type { HeldRun } from './locks.ts';
import { NewManifest } from './new-manifest.ts';
import { NewFiles } from './new-files.ts';
import { RunFolders } from './run-folders.ts';
import { LATEST_NAME, replaceFile, temporaryName } from './steps.ts';
import type { AccountFolders } from './steps.ts';

export interface DiskRunOptions {
  readonly folders: AccountFolders;
  readonly begun: BeginReply;
  /** `RUN.incomplete`; the run closes it. */
  readonly root: FolderHandle;
  /** Held until the run is done with. */
  readonly parent: HeldRun | undefined;
  /** Of all names of files in it; undefined if it was not counted here. */
  readonly parentBytes?: number | undefined;
  /** The lock of the one writing session. */
  readonly lock: Disposable;
  readonly hurtInodes: ReadonlySet<bigint>;
  readonly space: SpaceGuard;
  readonly freeze: DiskFreeze;
  readonly nowMs: () => number;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** A run under construction on a disk. */
export class DiskRun implements NewRun, AsyncDisposable {
  readonly begun: BeginReply;
  readonly #options: DiskRunOptions;
  readonly #folders: RunFolders;
  readonly #cloner: TreeCloner;
  readonly #manifest: NewManifest;
  readonly #files: NewFiles;
  readonly #linkable: LinkableFolders;
  readonly #carried: CarriedContent;
  readonly #flush: FilesystemFlush;
  #isOpen = true;
  #isPublishing = false;

  constructor(options: DiskRunOptions) {
    this.#options = options;
    this.begun = options.begun;
    this.#linkable = new LinkableFolders(options);
    this.#carried = new CarriedContent({
      hidden: options.folders.hidden,
      tokens: options.begun.carried,
      space: options.space,
      signal: options.signal,
    });
    this.#flush = new FilesystemFlush(options.root.fd, this.#distrust);
    const { space } = options;
    // What an empty folder takes: nothing on some file systems.
    const folderBytes = fstatSync(options.root.fd).blocks * BLOCK_UNIT_BYTES;
    // The run's own folder; and a block, for its names in folders of the account that nobody charges.
    space.used(folderBytes + BLOCK_BYTES);
    const charges = new FolderCharges(folderBytes, (bytes) => space.used(bytes, 0));
    this.#folders = new RunFolders(options.root, {
      // Folders, symlinks and links may use the reserve: a run of which nothing changed needs nothing else.
      before: () => space.checkEnding(folderBytes),
      after: () => space.used(folderBytes),
      measured: (folder) => charges.measured(folder),
    });
    this.#files = new NewFiles({
      ...{ root: options.root, folders: this.#folders, linkable: this.#linkable, carried: this.#carried },
      ...{ flush: this.#flush, space, hurtInodes: options.hurtInodes, signal: options.signal },
      check: () => this.#checkOpen(),
    });
    const { run, parent } = options.begun;
    const storing = (bytes: number, inodes: number): void => {
      if (bytes > 0) space.checkEnding(bytes);
      space.used(bytes, inodes);
    };
    this.#manifest = new NewManifest({ folders: options.folders, run, parent: parent?.run, storing });
    this.#cloner = new TreeCloner({
      runFolders: this.#folders,
      parent: options.parent?.folder,
      parentBytes: options.parentBytes,
      resolveFolder: (name) => this.#linkable.resolve(name),
      trust: (name) => this.#linkable.trust(name),
      hurtInodes: options.hurtInodes,
      beforeCopy: (sizeBytes) => {
        space.check(sizeBytes);
        space.used(inBlocks(sizeBytes));
      },
      made: ({ directories, symlinks, symlinkBytes }) => {
        if (directories + symlinks === 0) return;
        space.used(directories * folderBytes + symlinkBytes, directories + symlinks);
        space.checkEnding(0);
      },
      emptyFolderBytes: folderBytes,
      grown: (folder) => {
        charges.measured(folder);
        space.checkEnding(0);
      },
    });
    options.signal.addEventListener('abort', this.#stop);
  }

  put(files: readonly PutFile[], memory: ArrayBuffer): Promise<Buffer> {
    return this.#files.put(files, memory);
  }

  create(path: Buffer, expectedBytes: number): Promise<NewLargeFile> {
    return this.#files.create(path, expectedBytes);
  }

  cloneFile(from: StoredFile, path: Buffer, mostBytes: number): Promise<NewLargeFile> {
    return this.#files.cloneFile(from, path, mostBytes);
  }

  async tree(script: Buffer): Promise<Buffer> {
    this.#checkOpen();
    try {
      this.#options.space.checkEnding(BLOCK_BYTES);
      return encodeTreeOutcome(await this.#cloner.apply(script));
    } catch (error) {
      // For the next run: scripts have their order, and this one may be half done.
      await this.#carried.makeRoom(error, 0);
      throw error;
    }
  }

  async manifest(kind: number, content: Buffer): Promise<void> {
    this.#checkOpen();
    try {
      await this.#manifest.piece(kind, content);
    } catch (error) {
      await this.#carried.makeRoom(error, 0);
      throw error;
    }
  }

  async publish(request: PublishRequest): Promise<PublishReply> {
    this.#checkOpen();
    this.#isPublishing = true;
    try {
      return await this.#publish(request);
    } finally {
      this.#isPublishing = false;
    }
  }

  async #publish({ objects, manifestSha256, receipt }: PublishRequest): Promise<PublishReply> {
    const { folders, freeze, nowMs } = this.#options;
    const { account, hidden } = folders;
    const { run, token } = this.begun;
    // First: with a manifest that is wrong on purpose nobody learns whether he guessed the counts.
    const manifest = await this.#manifest.finish(manifestSha256);
    const { parentFiles, keptFiles } = await this.#cloner.finish();
    this.#checkCounts(objects);

    // Everything that the run needs is on the disk before it has its name.
    await this.#flush.flush().catch(() => this.#checkDisk());

    // Held for the renames: retention looks at the account's names meanwhile, and so does another begin.
    using _names = await lockNames(account);
    const receivedAtMs = nowMs();
    const asked = receipt.frozen;
    const parent = this.begun.parent?.run;
    const reason = freeze.judge({ run, parent, parentFiles, keptFiles, receivedAtMs, asked });
    const text = receiptText({
      run,
      ...receipt,
      manifestSha256: manifest.sha256,
      token,
      receivedAtMs,
      parent: parent ?? null,
      parentFiles,
      keptFiles,
      // As they were counted here: what a run that has this one as its parent takes for granted.
      objects,
      ...(reason === undefined ? {} : { frozen: reason }),
    });
    this.#options.space.used(inBlocks(text.length));
    replaceFile(hidden, { folder: hidden, name: Buffer.from(`receipts/${run}.json`) }, text);
    const latest = { folder: hidden, name: temporaryName() };
    makeSymlinkAt(latest, Buffer.from(run));
    // A freeze of a run that then is not published does no harm; a published one without its freeze might.
    if (reason !== undefined) freeze.freeze(hidden, { reason, sinceRun: run, atMs: receivedAtMs });
    this.#manifest.publish();
    await this.#close();
    renameNewAt(
      { folder: account, name: Buffer.from(incompleteName(run)) },
      { folder: account, name: Buffer.from(run) },
    );
    fsyncSync(account.fd);
    renameOverAt(latest, { folder: account, name: LATEST_NAME });
    fsyncSync(account.fd);
    dropToken(hidden, run, token);
    return {
      run,
      receivedAtMs,
      manifestSha256: manifest.sha256,
      manifestSizeBytes: manifest.sizeBytes,
      frozen: freeze.current(),
    };
  }

  async abandon(): Promise<void> {
    const { folders, lock, signal, parent, space } = this.#options;
    const { account, hidden } = folders;
    const { run, token } = this.begun;
    await this.#manifest[Symbol.asyncDispose]();
    await this.#close();
    using _lock = lock;
    using trash = openFolderBeneath(hidden, TRASH_NAME);
    const name = Buffer.from(`${incompleteName(run)}.${randomBytes(4).toString('hex')}`);
    {
      using _names = await lockNames(account);
      renameNewAt({ folder: account, name: Buffer.from(incompleteName(run)) }, { folder: trash, name });
      dropToken(hidden, run, token);
    }
    parent?.[Symbol.dispose]();
    try {
      await removeTree(trash, name, removing({ space, signal }));
    } finally {
      await space.flush();
    }
  }

  async cleanUp(): Promise<void> {
    const { lock, parent, space } = this.#options;
    using _lock = lock;
    parent?.[Symbol.dispose]();
    try {
      await this.#carried.remove();
    } finally {
      await space.flush();
    }
  }

  /** Lets go of everything; what was written stays as `.incomplete`, for the next run to carry over. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#manifest[Symbol.asyncDispose]();
    await this.#close();
    const { folders, lock, parent, space } = this.#options;
    parent?.[Symbol.dispose]();
    using _lock = lock;
    // Once more, should it not have worked at once.
    if (this.#flush.hasFailed) disown(folders.hidden, this.begun);
    // Before the lock: whoever counts anew takes for counted what lies there.
    space.save();
  }

  /** Nobody waits for what is under way, and it may be hours of work. A publish is ended: it is small, and all was sent. */
  readonly #stop = (): void => {
    if (this.#isPublishing) return;
    this.#cloner.stop();
    this.#manifest.stop();
  };

  /** After a publish that failed half-way nothing can be written: the next session carries it over. */
  #checkOpen(): void {
    this.#checkDisk();
    if (this.#isOpen) return;
    throw new StorageError('OUT_OF_ORDER', 'the run was closed when it could not be published');
  }

  /** Nobody knows which of the files it concerns: of such a run nothing more is taken, and none is published. */
  #checkDisk(): void {
    try {
      this.#flush.check();
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
      throw new StorageError('FAILED', `the storage's disk did not take what was written${why}`, {
        hint: "look at that disk; the next run sends this one's content again",
        cause: error,
      });
    }
  }

  /** What the disk may not have is not for the next run to link. At once, for the session may be killed. */
  readonly #distrust = (): void => {
    try {
      disown(this.#options.folders.hidden, this.begun);
    } catch {
      // A disk that fails may fail here, too: tried again at the end.
    }
  };

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#options.signal.removeEventListener('abort', this.#stop);
    await this.#cloner[Symbol.asyncDispose]();
    await this.#files[Symbol.asyncDispose]();
    await this.#flush[Symbol.asyncDispose]();
    await this.#carried.idle();
    this.#folders[Symbol.dispose]();
    this.#linkable[Symbol.dispose]();
    this.#options.root[Symbol.dispose]();
  }

  #checkCounts(said: ObjectCounts): void {
    const { files, directories, symlinks, bytes } = this.#cloner.counts;
    const stored = this.#files.counts;
    const found: ObjectCounts = {
      files: stored.files + files,
      directories: this.#folders.directories + directories,
      symlinks,
      bytes: stored.bytes + bytes,
    };
    const wrong = COUNTED.filter((key) => said[key] !== found[key]);
    if (wrong.length === 0) return;
    const list = wrong.map((key) => `${found[key]} ${key} where ${said[key]} were counted`).join(', ');
    throw new StorageError('COUNTS_DIFFER', `the run holds ${list}`);
  }
}

const TRASH_NAME = Buffer.from('trash');
const COUNTED = ['files', 'directories', 'symlinks', 'bytes'] as const;

/** One JSON object, readable by people and `jq`; the same as on plain storage, and what only the storage knows. */
function receiptText(receipt: object): Buffer {
  return Buffer.from(`${JSON.stringify(receipt, undefined, 2)}\n`);
}
