import { COMMON_FLAGS } from '@bakker/command-line';
import type { Options } from '@bakker/command-line';

/** Taken by every command. */
export const GLOBAL_FLAGS = {
  config: {
    type: 'string',
    requiresArg: true,
    default: '/etc/bakker/bakker.yaml',
    describe: 'configuration FILE',
  },
  state: {
    type: 'string',
    requiresArg: true,
    default: '/var/lib/bakker',
    describe: "DIR that holds this machine's lock and memory between runs",
  },
  quiet: { type: 'boolean', describe: 'no progress on standard error, only warnings' },
  ...COMMON_FLAGS,
} as const satisfies Record<string, Options>;

/** Their values. */
export interface GlobalValues {
  readonly configFile: string;
  readonly stateDir: string;
  readonly json: boolean;
  readonly quiet: boolean;
}
