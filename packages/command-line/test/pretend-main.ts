import { setTimeout as sleep } from 'node:timers/promises';
import { askYes } from '../src/confirm.ts';
import { listCommand } from '../src/command.ts';
import type { CommandOf } from '../src/command.ts';
import { runProgram } from '../src/run-program.ts';
import type { Running } from '../src/run-program.ts';
import { PRETEND, PretendError } from './pretend-program.ts';
import type { PretendGlobals } from './pretend-program.ts';

/** A whole program, to be started by tests: each command ends in another way. */
const ENDINGS: Readonly<Record<string, (running: Running) => Promise<unknown>>> = {
  fine: async () => 'done',
  many: async () => 'x'.repeat(4_000_000),
  full: async () => {
    throw new PretendError('FULL', 'no room\nleft', { hint: 'make room' });
  },
  fault: async () => {
    throw new TypeError('x is undefined');
  },
  uncaught: async () => {
    setImmediate(() => {
      throw new TypeError('nobody waits for this');
    });
    await sleep(60_000);
  },
  never: () => new Promise(() => undefined),
  wait: async ({ signal }) => {
    process.stderr.write('waiting\n');
    await sleep(60_000, undefined, { signal });
  },
  stuck: async () => {
    process.stderr.write('waiting\n');
    await sleep(60_000);
  },
  ask: ({ signal, isInteractive }) => askYes(PRETEND, 'Really?', { signal, isInteractive }),
};

const commands = Object.entries(ENDINGS).map(([usage, run]) => {
  const command: CommandOf<Running, unknown, unknown> = {
    usage,
    summary: `End ${usage}`,
    examples: [],
    positionals: {},
    flags: {},
    run,
    json: (result) => result,
    render: (result, screen) => screen.line(String(result)),
    exitStatus: () => 3,
  };
  return listCommand(command);
});

await runProgram<Running, PretendGlobals>({
  program: PRETEND,
  commands: async () => commands,
  perform: ({ command, args }, running) => command.perform(running, args),
});
