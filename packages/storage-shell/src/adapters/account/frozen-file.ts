import { unlinkAt } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { lstatSync } from 'node:fs';
import type { FrozenAccount } from '../../ports/account-keeper.ts';
import { parseObject } from '../../retain/stored-receipt.ts';
import { readSmallFile, replaceFile } from './steps.ts';

/**
 * `.bakker/frozen.json`. A file that can't be understood freezes as well: nothing is removed until somebody has looked.
 *
 * @throws errno errors
 */
export function readFrozen(account: FolderHandle): FrozenAccount | undefined {
  const text = readSmallFile(account, `.bakker/${NAME}`, MAX_BYTES);
  if (text === undefined && !isThere(account)) return undefined;
  const { reason, sinceRun, atMs } = parseObject(text?.toString() ?? '') ?? {};
  return {
    reason: typeof reason === 'string' ? reason : '.bakker/frozen.json can not be read',
    sinceRun: typeof sinceRun === 'string' ? sinceRun : undefined,
    atMs: typeof atMs === 'number' ? atMs : 0,
  };
}

/** Under the lock of names. @param hidden - `.bakker` @throws errno errors */
export function writeFrozen(hidden: FolderHandle, { reason, sinceRun, atMs }: FrozenAccount): void {
  const text = `${JSON.stringify({ reason, sinceRun: sinceRun ?? null, atMs })}\n`;
  replaceFile(hidden, { folder: hidden, name: Buffer.from(NAME) }, Buffer.from(text));
}

/** Under the lock of names. That it is not there is no failure. @throws LibcError */
export function removeFrozen(hidden: FolderHandle): void {
  unlinkAt({ folder: hidden, name: Buffer.from(NAME) });
}

/** Also what is no file, or too long: it stands for something. */
function isThere(account: FolderHandle): boolean {
  const path = Buffer.from(`.bakker/${NAME}`);
  return lstatSync(account.at(path), { throwIfNoEntry: false }) !== undefined;
}

const NAME = 'frozen.json';
const MAX_BYTES = 65_536;
