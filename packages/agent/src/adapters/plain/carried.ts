import { CARRIED, PRIVATE_FOLDER, incompleteName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { randomBytes } from 'node:crypto';
import { MissingFromStorage } from '../../ports/storage-account.ts';
import type { FileStore } from './file-store.ts';
import { joinPath } from './file-store.ts';
import { isTemporary, unlessMissing } from './steps.ts';

/** The random name that a run's content is remembered by until it is published. */
const TOKEN_FORM = /^[0-9a-f]{32}$/;
const NOTE_FORM = /^(.+)\.token-([0-9a-f]{32})$/;

/** Where the content of an unfinished run lies once a later run carries it over. */
export function carriedFolder(token: string): Buffer {
  return Buffer.from(`${CARRIED}/${token}`);
}

/** The note of a token is an empty folder: made in one step, and by one request that needs no wait. */
function noteOf(run: RunName, token: string): Buffer {
  return Buffer.from(`${PRIVATE_FOLDER}/${run}.token-${token}`);
}

/** Notes a new token for a run that is about to be written. Done before its folder is made. */
export function issueToken(store: FileStore, run: RunName): { token: string; noted: Promise<void> } {
  const token = newToken();
  return { token, noted: store.mkdir(noteOf(run, token)) };
}

/** Whether a run is still its writer's: whoever carries it over removes the note before making a folder of the same name. */
export async function isStillNoted(store: FileStore, run: RunName, token: string): Promise<boolean> {
  return (await store.lstat(noteOf(run, token))) !== undefined;
}

/** The run is published: its content is found under its name from now on. */
export async function dropToken(store: FileStore, run: RunName, token: string): Promise<void> {
  await store.rmdir(noteOf(run, token)).catch(unlessMissing);
}

/**
 * Lets nobody find the content of an unfinished run any more, nor what it was given by others: under names that nobody knows
 * it is only removed.
 */
export async function disown(
  store: FileStore,
  { run, token, carriedFolders }: { run: RunName; token: string; carriedFolders: readonly string[] },
): Promise<void> {
  await dropToken(store, run, token);
  for (const known of carriedFolders) {
    const unknown = carriedFolder(newToken());
    await store.renameNew(carriedFolder(known), unknown).catch(unlessMissing);
  }
}

/**
 * Moves what unfinished runs left out of the way of the next one, where its content can still be linked, and clears away
 * what dead processes left in `.bakker`.
 *
 * @param privateNames - of `.bakker`
 * @returns the tokens of all that is carried, also from before
 */
export async function adoptUnfinished(
  store: FileStore,
  { unfinished, privateNames }: { unfinished: readonly RunName[]; privateNames: readonly Buffer[] },
): Promise<readonly string[]> {
  const notes = privateNames.flatMap((name) => {
    const [, run, token] = NOTE_FORM.exec(name.toString('latin1')) ?? [];
    return run !== undefined && token !== undefined ? [{ name, run, token }] : [];
  });
  const hasCarried = privateNames.some((name) => name.toString() === CARRIED_NAME);
  const before = hasCarried ? await namesIn(store, Buffer.from(CARRIED)) : [];
  if (unfinished.length > 0 && !hasCarried) await store.mkdir(Buffer.from(CARRIED));
  const adopted: string[] = [];
  for (const run of unfinished) {
    const noted = notes.filter(
      (note) => note.run === run && !before.some((name) => name.toString() === note.token),
    );
    // without its own token nobody knows what is in it: it is carried only to be removed
    const token = noted.length === 1 && noted[0] ? noted[0].token : newToken();
    await store.renameNew(Buffer.from(incompleteName(run)), carriedFolder(token));
    adopted.push(token);
  }
  const left = [...notes.map(({ name }) => ({ name, remove: (path: Buffer) => store.rmdir(path) }))];
  for (const name of privateNames.filter(isTemporary))
    left.push({ name, remove: (path) => store.remove(path) });
  await Promise.all(
    left.map(({ name, remove }) => remove(joinPath(Buffer.from(PRIVATE_FOLDER), name)).catch(unlessMissing)),
  );
  return [...before.map((name) => name.toString('latin1')), ...adopted].filter((token) =>
    TOKEN_FORM.test(token),
  );
}

/** All names in a small folder. */
export async function namesIn(store: FileStore, folder: Buffer): Promise<readonly Buffer[]> {
  const names: Buffer[] = [];
  for await (const items of store.list(folder)) names.push(...items.map(({ name }) => name));
  return names;
}

function newToken(): string {
  return randomBytes(16).toString('hex');
}

const CARRIED_NAME = CARRIED.slice(PRIVATE_FOLDER.length + 1);

/** Whether a linked file from a carried folder has the size it should: a crash of the storage may have cut it short. */
export async function isWhole(store: FileStore, path: Buffer, sizeBytes: number): Promise<boolean> {
  try {
    return (await store.lstat(path))?.sizeBytes === sizeBytes;
  } catch (error) {
    if (error instanceof MissingFromStorage) return false;
    throw error;
  }
}
