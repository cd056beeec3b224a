import { LATEST, PRIVATE_FOLDER } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { randomBytes } from 'node:crypto';
import { AgentError } from '../../errors.ts';
import { MissingFromStorage } from '../../ports/storage-account.ts';
import type { FileStore } from './file-store.ts';

/** Writes a small file under its name in one step: beside it first, flushed, then renamed over. */
export async function replaceFile(store: FileStore, path: Buffer, content: Buffer): Promise<void> {
  await store.renameOver(await writeBeside(store, content), path);
}

/** Writes a small file, flushed, under a name of its own. @returns the name, to be renamed */
export async function writeBeside(store: FileStore, content: Buffer): Promise<Buffer> {
  const beside = temporaryName();
  await store.writeFile(beside, content, { mtimeS: Date.now() / 1000, executable: false, flush: true });
  return beside;
}

/** Moves `latest` by a rename, so that it always points at a complete run. Without symlinks there is no `latest`. */
export async function pointLatestAt(store: FileStore, run: RunName): Promise<void> {
  const beside = temporaryName();
  try {
    await store.symlink(beside, Buffer.from(run));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'STORAGE_REFUSED') return;
    throw error;
  }
  await store.renameOver(beside, Buffer.from(LATEST));
}

/** A name in `.bakker` that nothing else has. */
export function temporaryName(): Buffer {
  return Buffer.from(`${PRIVATE_FOLDER}/${TEMPORARY}${randomBytes(6).toString('hex')}`);
}

/** Whether a name in `.bakker` was left by a process that died: one writer at a time has any. */
export function isTemporary(name: Buffer): boolean {
  return name.toString('latin1').startsWith(TEMPORARY);
}

const TEMPORARY = 'tmp-';

/** `undefined` for what is not there, or can't be read where others can; other failures stay. */
export function unlessUnread(error: unknown): undefined {
  if (error instanceof AgentError && error.code === 'STORAGE_REFUSED') return;
  unlessMissing(error);
}

/** `undefined` for what is not there; other failures stay. */
export function unlessMissing(error: unknown): undefined {
  if (!(error instanceof MissingFromStorage)) throw error;
}
