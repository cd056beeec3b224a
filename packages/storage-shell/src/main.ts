import { resolve } from 'node:path';
import { askYes, listCommand, runProgram, wallClockMs } from '@bakker/command-line';
import type { Running } from '@bakker/command-line';
import { openPorts } from './adapters/open-ports.ts';
import type { CommandContext, ListedCommand } from './cli/command.ts';
import type { GlobalValues } from './cli/global-flags.ts';
import { BAKKER_STORAGE } from './cli/program.ts';

await runProgram<CommandContext, GlobalValues>({
  program: BAKKER_STORAGE,
  commands: loadCommands,
  perform: ({ command, globals, args }, running) => command.perform(createContext(globals, running), args),
});

/** Each session of each server starts `shell`: it does not wait for the files of all the others. */
async function loadCommands(words: readonly string[]): Promise<readonly ListedCommand[]> {
  if (words[0] === 'shell') return [listCommand((await import('./cli/shell.ts')).shell)];
  return (await import('./cli/commands.ts')).COMMANDS;
}

function createContext({ rootDir }: GlobalValues, { signal, isInteractive }: Running): CommandContext {
  return {
    rootDir: resolve(rootDir),
    ports: openPorts,
    signal,
    isInteractive,
    nowMs: wallClockMs,
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
    confirm: (question) => askYes(BAKKER_STORAGE, question, { isInteractive, signal }),
  };
}
