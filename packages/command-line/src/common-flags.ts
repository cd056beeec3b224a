import type { Options } from 'yargs';

/** What the frame itself answers to, in any program. */
export const COMMON_FLAGS = {
  json: { type: 'boolean', describe: 'print one JSON value on standard output' },
  help: { type: 'boolean', alias: 'h', describe: 'show what a command does and takes' },
  version: { type: 'boolean', describe: 'show the version' },
} as const satisfies Record<string, Options>;
