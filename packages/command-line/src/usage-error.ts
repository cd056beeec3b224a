import type { CodedError } from './coded-error.ts';
import type { CommandShape } from './command.ts';
import type { Program } from './program.ts';

/** A command of a program, as far as the words for it go. */
export interface CommandPlace {
  readonly program: Program;
  readonly command: CommandShape & { readonly name: string };
}

/** Words that a command does not take. */
export function usageError(
  { program, command }: CommandPlace,
  problem: string,
  hint = `${program.name} ${command.name} --help says more`,
): CodedError {
  return program.failure('USAGE', `${command.name}: ${problem}`, { hint });
}
