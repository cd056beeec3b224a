import { LATEST } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { hasCode, makeSymlinkAt, openAt, openBeneath, renameOverAt, unlinkAt } from '@bakker/linux';
import type { FolderHandle, Place } from '@bakker/linux';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, readSync, writeSync } from 'node:fs';

/** The folders that a writer of the account's small files needs. */
export interface AccountFolders {
  readonly account: FolderHandle;
  /** `.bakker` */
  readonly hidden: FolderHandle;
}

/** Writes a small file under its name in one step: beside it first, flushed, then renamed over. @throws errno errors */
export function replaceFile(hidden: FolderHandle, place: Place, content: Buffer): void {
  const beside = { folder: hidden, name: temporaryName() };
  const fd = openAt(beside, { flags: NEW_FILE, mode: SMALL_FILE_MODE });
  try {
    try {
      writeAll(fd, content, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameOverAt(beside, place);
  } catch (error) {
    unlinkAt(beside);
    throw error;
  }
}

/** Moves `latest` by a rename, so that it always points at a complete run. @throws LibcError */
export function pointLatestAt({ account, hidden }: AccountFolders, run: RunName): void {
  const beside = { folder: hidden, name: temporaryName() };
  makeSymlinkAt(beside, Buffer.from(run));
  renameOverAt(beside, { folder: account, name: LATEST_NAME });
}

/** A small file below `folder`; undefined if it is not there, or longer than `maxBytes`. @throws errno errors */
export function readSmallFile(folder: FolderHandle, path: string, maxBytes: number): Buffer | undefined {
  let fd: number;
  try {
    fd = openBeneath(folder, Buffer.from(path), { flags: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > maxBytes) return undefined;
    const content = Buffer.alloc(stat.size);
    return content.subarray(0, readFully(fd, content, 0));
  } finally {
    closeSync(fd);
  }
}

/** Writes all of the bytes, however many calls that takes. @throws errno errors */
export function writeAll(fd: number, bytes: Buffer, offsetBytes: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, offsetBytes + done);
  }
}

/** Fills the buffer from a file. @returns the bytes read, fewer at the end of the file. @throws errno errors */
export function readFully(fd: number, buffer: Buffer, offsetBytes: number): number {
  let done = 0;
  while (done < buffer.length) {
    const read = readSync(fd, buffer, done, buffer.length - done, offsetBytes + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

/** A name in `.bakker` that nothing else has. */
export function temporaryName(): Buffer {
  return Buffer.from(`${TEMPORARY}${randomBytes(6).toString('hex')}`);
}

/** Whether a name in `.bakker` was left by a writing session that died: one at a time has any. */
export function isTemporary(name: Buffer): boolean {
  return name.toString('latin1').startsWith(TEMPORARY);
}

export const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
const SMALL_FILE_MODE = 0o600;
const TEMPORARY = 'tmp-';
export const LATEST_NAME = Buffer.from(LATEST);
