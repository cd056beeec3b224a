import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, mkdir, open, readdir, rename, rm, rmdir, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { StorageError } from '../../errors.ts';
import type { FileFacts, SpaceFacts, WriteOptions } from '../../ports/system.ts';

/** Nothing of ours comes near; accounts own some of the files. */
const MOST_BYTES = 64 * 1024 * 1024;

export async function inspect(path: string): Promise<FileFacts | undefined> {
  try {
    const facts = await lstat(path);
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
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
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
  const folder = dirname(path);
  const made = join(folder, `.${basename(path)}.${process.pid}.new`);
  try {
    // One that an earlier process of this id left, killed.
    await rm(made, { force: true });
    const file = await open(made, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.chown(options.uid ?? 0, options.gid ?? 0);
      await file.chmod(options.mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(made, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(made, { force: true }).catch(() => undefined);
    throw failure(`${path} can't be written`, error);
  }
}

export async function makeFolder(path: string, options: WriteOptions): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    await setOwner(path, { uid: 0, gid: 0, ...options });
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST') && (await inspect(path))?.type === 'folder') return false;
    throw failure(`the folder ${path} can't be made`, error);
  }
}

export async function setOwner(path: string, options: Required<WriteOptions>): Promise<void> {
  try {
    await using handle: FileHandle = await open(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    await handle.chown(options.uid, options.gid);
    await handle.chmod(options.mode);
    await handle.sync(); // whoever provisioned an account may cut the power
  } catch (error) {
    throw failure(`the owner of ${path} can't be set`, error);
  }
}

export async function list(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw failure(`${path} can't be read`, error);
  }
}

export async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncFolder(dirname(path));
  } catch (error) {
    if (!isAbsent(error)) throw failure(`${path} can't be removed`, error);
  }
}

export async function removeEmptyFolder(path: string): Promise<boolean> {
  try {
    await rmdir(path);
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

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

function isAbsent(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR');
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

function failure(what: string, cause: unknown): StorageError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return new StorageError(code === 'ENOSPC' ? 'FULL' : 'FAILED', `${what}: ${code}`, {
    ...(code === 'EACCES' || code === 'EPERM' ? { hint: 'run as root' } : {}),
    cause,
  });
}
