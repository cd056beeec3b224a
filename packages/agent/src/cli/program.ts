import { resolve } from 'node:path';
import type { Program } from '@bakker/command-line';
import { placeFlags } from '../enrol/place-flags.ts';
import { AgentError } from '../errors.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';
import type { GlobalValues } from './global-flags.ts';
import { VERSION } from './version.ts';

/** What is bakker's own in its command line. */
export const BAKKER: Program<GlobalValues> = {
  name: 'bakker',
  version: VERSION,
  purpose: 'keeps dated, complete, plain folders of this machine on a storage.',
  examples: [
    'bakker init backup@store.example:backups    enrol this machine',
    'bakker backup                               back it up',
    'bakker restore /etc/fstab --from latest --to /tmp/back',
    '                                            bring one file back',
  ],
  globalFlags: GLOBAL_FLAGS,
  namesElsewhere: {
    snapshots: 'list',
    check: 'verify',
    forget: 'retention',
    prune: 'retention',
    create: 'backup',
    extract: 'restore',
    dump: 'cat',
    stats: 'status',
    unlock: 'recover',
    passwd: 'key',
  },
  globals: (values) => ({
    configFile: String(values['config']),
    stateDir: String(values['state']),
    json: values['json'] === true,
    quiet: values['quiet'] === true,
  }),
  placeFlags: ({ configFile, stateDir }) =>
    placeFlags({ configFile: resolve(configFile), stateDir: resolve(stateDir) }).trim(),
  afterInterruption: 'run the command again: it goes on where it stopped',
  failure: (failure, message, extra) =>
    new AgentError(failure === 'OUTPUT_BROKEN' ? 'RUN_FAILED' : failure, message, extra),
};
