import { CARRIED, PRIVATE_FOLDER, incompleteName, isToken } from '@bakker/impl-format/storage';
import type { BeginReply, RunName } from '@bakker/impl-format/storage';
import {
  hasCode,
  makeFolderAt,
  openFolderBeneath,
  removeFolderAt,
  renameNewAt,
  unlinkAt,
} from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { hash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readNames } from '../runs/read-names.ts';
import type { AccountFolders } from './steps.ts';
import { isTemporary } from './steps.ts';

/*
 * The same places as plain storage has: an account can change from one to the other and back. The note of a token is an
 * empty folder `.bakker/RUN.token-HEX`; the content of an unfinished run lies in `.bakker/carried/HEX`.
 */
const NOTE_FORM = /^(.+)\.token-([0-9a-f]{32})$/;
const CARRIED_NAME = Buffer.from(CARRIED.slice(PRIVATE_FOLDER.length + 1));
const FOLDER_MODE = 0o700;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const TOKEN_DIGITS = 32;
const BOOT_DIGITS = 16;

/** Notes a new token for a run that is about to be written. Done before its folder is made. @throws LibcError */
export function issueToken(hidden: FolderHandle, run: RunName): string {
  const token = newToken();
  makeFolderAt({ folder: hidden, name: noteOf(run, token) }, FOLDER_MODE);
  return token;
}

/** The run is published, or given up: nobody looks for its content under the token any more. @throws LibcError */
export function dropToken(hidden: FolderHandle, run: RunName, token: string): void {
  removeFolderAt({ folder: hidden, name: noteOf(run, token) });
}

/**
 * Lets nobody find the content of an unfinished run any more, nor what it was given by others: under names that nobody knows
 * it is only removed. Done twice, it does no harm.
 *
 * @throws LibcError
 */
export function disown(hidden: FolderHandle, { run, token, carried }: BeginReply): void {
  dropToken(hidden, run, token);
  using folder = openCarried(hidden) ?? null;
  if (folder === null) return;
  for (const name of allNames(folder)) {
    if (!carried.includes(name.toString('latin1'))) continue;
    renameNewAt({ folder, name }, { folder, name: Buffer.from(newToken()) });
  }
}

/**
 * Moves what unfinished runs left out of the way of the next one, where its content can still be linked, and clears away
 * what dead sessions left in `.bakker`. A death at any step leaves something that the next call takes up.
 *
 * @returns the tokens of all that is carried, also from before
 * @throws LibcError
 */
export function adoptUnfinished(
  { account, hidden }: AccountFolders,
  unfinished: readonly RunName[],
): readonly string[] {
  const names = allNames(hidden);
  const notes = names.flatMap((name) => {
    const [, run, token] = NOTE_FORM.exec(name.toString('latin1')) ?? [];
    return run !== undefined && token !== undefined ? [{ name, run, token }] : [];
  });
  if (unfinished.length > 0) makeFolderAt({ folder: hidden, name: CARRIED_NAME }, FOLDER_MODE);
  using carried = openCarried(hidden) ?? null;
  if (carried === null) {
    clear(hidden, { notes: notes.map(({ name }) => name), others: names.filter(isTemporary) });
    return [];
  }
  const before = allNames(carried).map((name) => name.toString('latin1'));
  const adopted: string[] = [];
  for (const run of unfinished) {
    const noted = notes.filter((note) => note.run === run && !before.includes(note.token));
    // Without its own token nobody knows what is in it: it is carried only to be removed.
    const token = noted.length === 1 && noted[0] !== undefined ? noted[0].token : newToken();
    renameNewAt(
      { folder: account, name: Buffer.from(incompleteName(run)) },
      { folder: carried, name: Buffer.from(token) },
    );
    adopted.push(token);
  }
  clear(hidden, { notes: notes.map(({ name }) => name), others: names.filter(isTemporary) });
  return [...before, ...adopted].filter(isToken);
}

/**
 * Whether the content under a token may have been cut short or gone stale when this machine lost its power: names and
 * attributes of files that nobody flushed can be on the disk without what is in them. Only content of this boot can't.
 */
export function isFromAnotherBoot(token: string): boolean {
  const boot = thisBoot();
  return boot === undefined || !token.startsWith(boot);
}

/** The folder of all that is carried; undefined if there is none. @throws LibcError */
export function openCarried(hidden: FolderHandle): FolderHandle | undefined {
  try {
    return openFolderBeneath(hidden, CARRIED_NAME);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function noteOf(run: RunName, token: string): Buffer {
  return Buffer.from(`${run}.token-${token}`);
}

/** Half of it says during which boot it was issued: so the token itself tells whether what is under it can be trusted. */
function newToken(): string {
  const boot = thisBoot() ?? randomBytes(BOOT_DIGITS / 2).toString('hex');
  return boot + randomBytes((TOKEN_DIGITS - BOOT_DIGITS) / 2).toString('hex');
}

/** Undefined where the kernel does not tell: then nothing is of this boot. */
function thisBoot(): string | undefined {
  try {
    return hash('sha256', readFileSync(BOOT_ID), 'hex').slice(0, BOOT_DIGITS);
  } catch {
    return undefined;
  }
}

/** All names in a small folder. */
function allNames(folder: FolderHandle): Buffer[] {
  using fresh = openFolderBeneath(folder, Buffer.alloc(0));
  const names: Buffer[] = [];
  for (let items = readNames(fresh); items !== undefined; items = readNames(fresh)) {
    for (const { name } of items) names.push(name);
  }
  return names;
}

function clear(
  hidden: FolderHandle,
  { notes, others }: { notes: readonly Buffer[]; others: readonly Buffer[] },
): void {
  for (const name of notes) removeFolderAt({ folder: hidden, name });
  for (const name of others) unlinkAt({ folder: hidden, name });
}
