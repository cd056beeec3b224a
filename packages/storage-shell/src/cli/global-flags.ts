import type { Options } from '@bakker/command-line';

/** Taken by every command. */
export const GLOBAL_FLAGS = {
  root: {
    type: 'string',
    requiresArg: true,
    default: '/backups',
    describe: 'DIR in which the accounts lie',
  },
  json: { type: 'boolean', describe: 'print one JSON value on standard output' },
  help: { type: 'boolean', alias: 'h', describe: 'show what a command does and takes' },
  version: { type: 'boolean', describe: 'show the version' },
} as const satisfies Record<string, Options>;

/** Their values. */
export interface GlobalValues {
  readonly rootDir: string;
  readonly json: boolean;
}
