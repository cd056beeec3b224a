import { CodedError } from '../src/coded-error.ts';
import { COMMON_FLAGS } from '../src/common-flags.ts';
import type { ListedCommandOf } from '../src/command.ts';
import { listCommand } from '../src/command.ts';
import type { Globals, Program } from '../src/program.ts';

const EXIT_STATUS = {
  FAILED: 1,
  NOT_CONFIRMED: 1,
  USAGE: 2,
  CONFIG_INVALID: 2,
  FULL: 13,
  INTERRUPTED: 130,
} as const;

/** The errors of a small program. */
export class PretendError extends CodedError<keyof typeof EXIT_STATUS> {
  override readonly name = 'PretendError';

  override get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

export interface PretendGlobals extends Globals {
  readonly rootDir: string;
}

/** A program with what programs have. */
export const PRETEND: Program<PretendGlobals> = {
  name: 'pretend',
  version: '1.2.3',
  purpose: 'is here to be tried.',
  examples: ['pretend fetch a   get a'],
  globalFlags: {
    root: { type: 'string', requiresArg: true, default: '/root', describe: 'DIR of everything' },
    ...COMMON_FLAGS,
  },
  globals: (values) => ({ rootDir: String(values['root']), json: values['json'] === true }),
  afterInterruption: 'call it again',
  failure: (failure, message, extra) =>
    new PretendError(failure === 'OUTPUT_BROKEN' ? 'FAILED' : failure, message, extra),
};

/** Commands with every kind of flag; each gives its arguments back. */
export const PRETEND_COMMANDS: readonly ListedCommandOf<unknown>[] = [
  listCommand({
    usage: 'fetch <what> [more..]',
    summary: 'Get things',
    examples: [['pretend fetch a b', 'a and b']],
    positionals: { what: { type: 'string', describe: 'a THING' } },
    flags: {
      from: { type: 'string', describe: 'NAME of the place' },
      role: { type: 'string', choices: ['reader', 'writer'], default: 'reader', describe: 'as whom' },
      'dry-run': { type: 'boolean', describe: 'only look' },
      read: { type: 'boolean', default: true, describe: 'read it back' },
      times: { type: 'number', describe: 'how often' },
      tag: { type: 'string', array: true, describe: 'a TAG; more than one may be given' },
      c: { type: 'string', describe: 'as login shells have it' },
    },
    run: async (_context: unknown, args: unknown) => args,
    json: (args) => args,
    render: (_args, screen) => screen.line('fetched'),
  }),
  listCommand({
    usage: 'send [way]',
    summary: 'Give things away',
    examples: [],
    positionals: { way: { choices: ['fast', 'slow'], default: 'fast', describe: 'how' } },
    flags: { to: { type: 'string', demandOption: true, describe: 'NAME of the place' } },
    run: async (_context: unknown, args: unknown) => args,
    json: (args) => args,
    render: (_args, screen) => screen.line('sent'),
    exitStatus: () => 3,
  }),
];
