import { FolderHandle, hasCode, O_PATH, openBeneath } from '@bakker/linux';
import { constants, fstatSync, openSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, mkdir, open, readdir, rename, rm, rmdir, statfs } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { StorageError } from '../../errors.ts';
import type { FileFacts, SpaceFacts, WriteOptions } from '../../ports/system.ts';

/** Nothing of ours comes near; accounts own some of the files. */
const MOST_BYTES = 64 * 1024 * 1024;
const FOLDER_FLAGS = O_PATH | constants.O_DIRECTORY;
const NOT_FOLLOWED = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export async function inspect(path: string): Promise<FileFacts | undefined> {
  try {
    using above = openAbove(path);
    const facts = await lstat(above.at(nameIn(path)));
    const type = facts.isFile()
      ? 'file'
      : facts.isDirectory()
        ? 'folder'
        : facts.isSymbolicLink()
          ? 'symlink'
          : 'other';
    return { type, uid: facts.uid, gid: facts.gid, mode: facts.mode & 0o7777 };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw failure(`${path} can't be looked at`, error);
  }
}

export async function readText(path: string): Promise<string | undefined> {
  try {
    using above = openAbove(path);
    await using file = await open(above.at(nameIn(path)), NOT_FOLLOWED);
    const { size } = await file.stat();
    if (size > MOST_BYTES) throw new StorageError('FAILED', `${path} is too large to be one of ours`);
    return await file.readFile('utf8');
  } catch (error) {
    if (error instanceof StorageError) throw error;
    if (isAbsent(error)) return undefined;
    throw failure(`${path} can't be read`, error);
  }
}

export async function writeText(path: string, text: string, options: WriteOptions): Promise<void> {
  try {
    using above = openAbove(path);
    await removeLeft(above, path);
    const made = above.at(Buffer.from(newName(path, String(process.pid))));
    try {
      const file = await open(made, 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.chown(options.uid ?? 0, options.gid ?? 0);
        await file.chmod(options.mode);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(made, above.at(nameIn(path)));
      await syncFolder(above);
    } catch (error) {
      await rm(made, { force: true }).catch(() => undefined);
      throw error;
    }
  } catch (error) {
    throw failure(`${path} can't be written`, error);
  }
}

export async function makeFolder(path: string, options: WriteOptions): Promise<boolean> {
  try {
    using above = openAbove(path);
    const made = above.at(nameIn(path));
    await mkdir(made, { mode: 0o700 });
    await using handle = await open(made, NOT_FOLLOWED | constants.O_DIRECTORY);
    await own(handle, { uid: 0, gid: 0, ...options });
    await syncFolder(above);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST') && (await inspect(path))?.type === 'folder') return false;
    throw failure(`the folder ${path} can't be made`, error);
  }
}

export async function setOwner(path: string, options: Required<WriteOptions>): Promise<void> {
  try {
    using above = openAbove(path);
    await using handle = await open(above.at(nameIn(path)), NOT_FOLLOWED);
    const facts = await handle.stat();
    if (facts.isFile() && facts.nlink > 1) {
      throw new StorageError('FAILED', `${path} has another name: whose file it is can't be said`, {
        hint: 'copy it, and put the copy in its place',
      });
    }
    await own(handle, options);
  } catch (error) {
    if (error instanceof StorageError) throw error;
    throw failure(`the owner of ${path} can't be set`, error);
  }
}

export async function list(path: string): Promise<string[]> {
  try {
    using above = openAbove(path);
    return (await readdir(above.at(nameIn(path)))).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw failure(`${path} can't be read`, error);
  }
}

export async function removeFile(path: string): Promise<void> {
  try {
    using above = openAbove(path);
    await removeLeft(above, path);
    await rm(above.at(nameIn(path)), { force: true });
    await syncFolder(above);
  } catch (error) {
    if (!isAbsent(error)) throw failure(`${path} can't be removed`, error);
  }
}

export async function removeEmptyFolder(path: string): Promise<boolean> {
  try {
    using above = openAbove(path);
    await rmdir(above.at(nameIn(path)));
    return true;
  } catch (error) {
    if (isAbsent(error) || hasCode(error, 'ENOTEMPTY', 'EEXIST', 'EBUSY')) return false;
    throw failure(`${path} can't be removed`, error);
  }
}

export async function space(path: string): Promise<SpaceFacts | undefined> {
  try {
    const { bsize, blocks, bavail, ffree } = await statfs(path);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, freeInodes: ffree };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw failure(`${path} can't be looked at`, error);
  }
}

/**
 * The folder that the path lies in. Symlinks are followed in folders of root's alone: anywhere else, and so below an account's
 * folder, somebody else may put one there, also between a look and what follows it.
 *
 * @throws LibcError `ELOOP`; errno errors
 */
function openAbove(path: string): FolderHandle {
  const names = dirname(path)
    .split('/')
    .filter((name) => name !== '');
  let folder = new FolderHandle(openSync('/', FOLDER_FLAGS));
  for (let next = 0; next < names.length; next++) {
    using above = folder;
    if (fstatSync(above.fd).uid !== 0) {
      const rest = Buffer.from(names.slice(next).join('/'));
      return new FolderHandle(openBeneath(above, rest, { flags: FOLDER_FLAGS }));
    }
    folder = new FolderHandle(openSync(above.at(Buffer.from(names[next] ?? '')), FOLDER_FLAGS));
  }
  return folder;
}

/** What `writeText` calls a file while it writes it. */
function newName(path: string, pid: string): string {
  return `.${basename(path)}.${pid}.new`;
}

/** Removes what killed writers of the file left beside it: nobody else would. */
async function removeLeft(above: FolderHandle, path: string): Promise<void> {
  for (const name of await readdir(above.at(Buffer.from('.')))) {
    const pid = /\.(\d+)\.new$/.exec(name)?.[1];
    if (pid === undefined || name !== newName(path, pid) || isOther(Number(pid))) continue;
    // What is no file is not ours, and not in the way.
    await rm(above.at(Buffer.from(name)), { force: true }).catch(() => undefined);
  }
}

/** Whether another process has this id now. */
function isOther(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

function nameIn(path: string): Buffer {
  return Buffer.from(basename(path) || '.');
}

async function own(handle: FileHandle, options: Required<WriteOptions>): Promise<void> {
  await handle.chown(options.uid, options.gid);
  await handle.chmod(options.mode);
  await handle.sync(); // whoever provisioned an account may cut the power
}

async function syncFolder(folder: FolderHandle): Promise<void> {
  await using handle = await open(folder.at(Buffer.from('.')), 'r');
  await handle.sync();
}

function isAbsent(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR');
}

function failure(what: string, cause: unknown): StorageError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return new StorageError(code === 'ENOSPC' ? 'FULL' : 'FAILED', `${what}: ${code}`, {
    ...(code === 'EACCES' || code === 'EPERM' ? { hint: 'run as root' } : {}),
    cause,
  });
}
