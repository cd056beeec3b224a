import type { Options } from '@bakker/command-line';
import { LIMIT_KEYS, readLimit } from '../config/read-limits.ts';
import { AgentError } from '../errors.ts';
import { IO_PRIORITY_CHOICES } from '../limits/limits.ts';
import type { Limits } from '../limits/limits.ts';

/** Taken by commands that move much; each wins over the key of the same name in the configuration. */
export const LIMIT_FLAGS = {
  'limit-upload': {
    type: 'string',
    requiresArg: true,
    describe: 'most bytes a second to the storage: 500K, 10M',
  },
  'limit-download': { type: 'string', requiresArg: true, describe: 'most bytes a second from the storage' },
  'io-priority': {
    choices: IO_PRIORITY_CHOICES,
    describe: 'low: the disk after others; idle: only when nobody else wants it',
  },
  nice: { type: 'string', requiresArg: true, describe: 'the processor after others: 0 to 19' },
  cores: { type: 'string', requiresArg: true, describe: 'most processors to use' },
  memory: { type: 'string', requiresArg: true, describe: 'most memory for content in flight: 16M to 4G' },
} as const satisfies Record<string, Options>;

export interface LimitArgs {
  readonly limitUpload?: string;
  readonly limitDownload?: string;
  readonly ioPriority?: string;
  readonly nice?: string;
  readonly cores?: string;
  readonly memory?: string;
}

/** What was given. @throws AgentError USAGE */
export function limitsOf(args: LimitArgs): Partial<Limits> {
  const given = {
    'limit-upload': args.limitUpload,
    'limit-download': args.limitDownload,
    'io-priority': args.ioPriority,
    nice: args.nice,
    cores: args.cores,
    memory: args.memory,
  };
  let limits: Partial<Limits> = {};
  for (const key of LIMIT_KEYS) {
    const value = given[key];
    if (value === undefined) continue;
    const read = readLimit(key, value);
    if ('problem' in read)
      throw new AgentError('USAGE', `--${key} ${read.problem}`, {
        hint: 'docs/configuration.md has the limits',
      });
    limits = { ...limits, ...read.limits };
  }
  return limits;
}
