import { resolve } from 'node:path';
import type { Program } from '@bakker/command-line';
import { StorageError } from '../errors.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';
import type { GlobalValues } from './global-flags.ts';
import { VERSION } from './version.ts';

/** What is bakker-storage's own in its command line. */
export const BAKKER_STORAGE: Program<GlobalValues> = {
  name: 'bakker-storage',
  version: VERSION,
  purpose: 'keeps the accounts of a storage machine apart, their past unchanged, and retires old runs.',
  examples: [],
  globalFlags: GLOBAL_FLAGS,
  globals: (values) => ({ rootDir: String(values['root']), json: values['json'] === true }),
  placeFlags: ({ rootDir }) =>
    resolve(rootDir) === GLOBAL_FLAGS.root.default ? '' : `--root ${resolve(rootDir)}`,
  failure: (failure, message, extra) =>
    new StorageError(failure === 'OUTPUT_BROKEN' ? 'FAILED' : failure, message, extra),
};
