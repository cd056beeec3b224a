import { CARRIED, incompleteName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { randomBytes } from 'node:crypto';
import { MissingFromStorage } from '../../ports/storage-account.ts';
import type { FileStore } from './file-store.ts';
import { replaceFile, unlessMissing } from './steps.ts';

/** In the folder of an unfinished run's name in `.bakker`: the random token that its content is remembered by. */
const TOKEN_FORM = /^[0-9a-f]{32}$/;

/** Where the content of an unfinished run lies once a later run carries it over. */
export function carriedFolder(token: string): Buffer {
  return Buffer.from(`${CARRIED}/${token}`);
}

function tokenFile(run: RunName): Buffer {
  return Buffer.from(`.bakker/${run}.token`);
}

/** Notes a new token for a run that is about to be written. Done before its folder is made. */
export async function issueToken(store: FileStore, run: RunName): Promise<string> {
  const token = randomBytes(16).toString('hex');
  await replaceFile(store, tokenFile(run), Buffer.from(`${token}\n`));
  return token;
}

/** The run is published: its content is found under its name from now on. */
export async function dropToken(store: FileStore, run: RunName): Promise<void> {
  await store.remove(tokenFile(run)).catch(unlessMissing);
}

/**
 * Moves what unfinished runs left out of the way of the next one, where its content can still be linked.
 * @returns the tokens of all that lies there, also from before
 */
export async function adoptUnfinished(
  store: FileStore,
  runs: readonly RunName[],
): Promise<readonly string[]> {
  const folder = Buffer.from(CARRIED);
  if (!(await store.lstat(folder))) {
    if (runs.length === 0) return [];
    await store.mkdir(folder);
  }
  for (const run of runs) {
    const noted = (await store.readFile(tokenFile(run), 64).catch(unlessMissing))?.toString('latin1').trim();
    // without its token nobody knows what is in it: it is carried only to be removed
    const isKnown =
      noted !== undefined && TOKEN_FORM.test(noted) && !(await store.lstat(carriedFolder(noted)));
    const token = isKnown ? noted : randomBytes(16).toString('hex');
    await store.renameNew(Buffer.from(incompleteName(run)), carriedFolder(token));
    await dropToken(store, run);
  }
  const tokens: string[] = [];
  for await (const items of store.list(folder))
    tokens.push(...items.map((item) => item.name.toString('latin1')));
  return tokens.filter((token) => TOKEN_FORM.test(token));
}

/** Whether a linked file from a carried folder has the size it should: a crash of the storage may have cut it short. */
export async function isWhole(store: FileStore, path: Buffer, sizeBytes: number): Promise<boolean> {
  try {
    return (await store.lstat(path))?.sizeBytes === sizeBytes;
  } catch (error) {
    if (error instanceof MissingFromStorage) return false;
    throw error;
  }
}
