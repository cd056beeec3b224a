import { COMMON_FLAGS } from '@bakker/command-line';
import type { Options } from '@bakker/command-line';

/** Taken by every command. */
export const GLOBAL_FLAGS = {
  root: {
    type: 'string',
    requiresArg: true,
    default: '/backups',
    describe: 'DIR in which the accounts lie',
  },
  ...COMMON_FLAGS,
} as const satisfies Record<string, Options>;

/** Their values. */
export interface GlobalValues {
  readonly rootDir: string;
  readonly json: boolean;
}
