import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AgentError } from '../errors.ts';
import type { RestoreTarget, TargetFolder, TargetTree } from '../ports/restore-target.ts';
import { hasCode, openFolder, openFolderBeneath, openNameService } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { FileWriter } from './restore/file-writer.ts';
import { OpenFolder, type Shared } from './restore/open-folder.ts';
import { itemOf } from './restore/target-item.ts';
import { WrittenFilesystems } from './restore/written-filesystems.ts';

/**
 * This machine's file system and its users and groups.
 *
 * @param sparedFolders - nothing of them is removed
 */
export function openRestoreTarget(sparedFolders: readonly string[] = []): RestoreTarget {
  const names = openNameService();
  const spared = sparedFolders.flatMap(identitiesOf);
  return {
    open: (path, { create }) => openTree(path, { create, spared }),
    mayGiveAway: process.geteuid?.() === 0,
    userId: (name) => names.userId(name),
    groupId: (name) => names.groupId(name),
  };
}

function identitiesOf(folder: string): Shared['spared'] {
  const stats = statSync(folder, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? [] : [itemOf(stats)];
}

function openTree(
  path: string,
  { create, spared }: { readonly create: boolean; readonly spared: Shared['spared'] },
): TargetTree | undefined {
  const absolute = resolve(path);
  try {
    if (create) makeFolders(absolute);
    return new LocalTree(absolute, openFolder(Buffer.from(absolute)), spared);
  } catch (error) {
    if (!create && hasCode(error, 'ENOENT')) return undefined;
    throw new AgentError('RESTORE_FAILED', `can't restore into ${absolute}: ${reasonOf(error)}`, {
      hint: 'name a folder that this user may write to with --to',
      cause: error,
    });
  }
}

/** With those above it. Node's own way goes round for ever where a folder that is there takes none (`/proc`, an automount). */
function makeFolders(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    if (!hasCode(error, 'ENOENT') || dirname(path) === path) throw error;
    makeFolders(dirname(path));
    mkdirSync(path);
  }
}

/** The one folder that the operator named; everything else is reached through its descriptor. */
class LocalTree implements TargetTree {
  readonly path: string;
  readonly root: TargetFolder;
  readonly #handle: FolderHandle;
  readonly #shared: Shared;

  constructor(path: string, handle: FolderHandle, spared: Shared['spared']) {
    this.path = path;
    this.#handle = handle;
    this.#shared = {
      umask: process.umask(),
      filesystems: new WrittenFilesystems(),
      writer: new FileWriter(),
      spared,
    };
    this.root = new OpenFolder(handle, { isNew: false, inheritsAcl: false, shared: this.#shared });
  }

  folderAt(path: Buffer): TargetFolder {
    const made = { isNew: false, inheritsAcl: false, shared: this.#shared };
    return new OpenFolder(openFolderBeneath(this.#handle, path), made);
  }

  flush(): Promise<void> {
    return this.#shared.filesystems.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shared.writer[Symbol.asyncDispose]();
    await this.#shared.filesystems[Symbol.asyncDispose]();
    this.#handle[Symbol.dispose]();
  }
}

function reasonOf(error: unknown): string {
  if (hasCode(error, 'EACCES', 'EPERM')) return 'permission denied';
  if (hasCode(error, 'ENOTDIR', 'EEXIST')) return 'it is not a folder';
  return error instanceof Error ? error.message : String(error);
}
