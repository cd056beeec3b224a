import { listCommand } from './command.ts';
import type { ListedCommand } from './command.ts';
import { shell } from './shell.ts';

/** Every command, in the order that `--help` shows: a line here, a file beside. */
export const COMMANDS: readonly ListedCommand[] = [
  //
  listCommand(shell),
];
