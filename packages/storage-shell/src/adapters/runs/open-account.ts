import { openFolder } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { StorageError } from '../../errors.ts';

/** Opens an account's folder for those who keep it. @throws StorageError NOT_FOUND if there is no such account */
export function openAccountFolder(rootDir: string, account: string): FolderHandle {
  const folder = join(rootDir, account);
  // One name: no path, nothing hidden.
  const isName = account !== '' && !account.includes('/') && !account.startsWith('.');
  if (isName && lstatSync(join(folder, '.bakker'), { throwIfNoEntry: false })?.isDirectory() === true)
    return openFolder(Buffer.from(folder));
  throw new StorageError('NOT_FOUND', `there is no account ${account} in ${rootDir}`, {
    hint: 'bakker-storage accounts lists them; --root names another folder',
  });
}
