import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LocalFileStore } from '../../src/adapters/plain/local-file-store.ts';
import { PlainAccount } from '../../src/adapters/plain/plain-account.ts';
import { checkAccountContract } from './account-contract.ts';

checkAccountContract('a local account', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-local-'));
  return {
    folder,
    open: async () => new PlainAccount(new LocalFileStore(folder)),
    [Symbol.asyncDispose]: async () => fs.rmSync(folder, { recursive: true }),
  };
});
