import type { CommandShape } from './command.ts';
import type { Globals, Program } from './program.ts';

/** Gives a text back with its commands as they have to be typed to reach the same places. */
export type TypedHere = (text: string) => string;

/**
 * Who was called with places of their own has to be told of commands with these: `bakker backup --allow-empty`, typed as a
 * hint says it, must not go to another account. A text that says the places already is left as it is.
 */
export function typedHere<Values extends Globals>(
  program: Program<Values>,
  commands: readonly (CommandShape & { readonly name: string })[],
  values: Values,
): TypedHere {
  const flags = program.placeFlags?.(values) ?? '';
  if (flags === '') return (text) => text;
  const names = commands.map(({ name }) => name).join('|');
  const calls = new RegExp(`(?<![\\w-])${program.name} (?=(?:${names})(?![\\w-]))`, 'g');
  return (text) => (text.includes(flags) ? text : text.replace(calls, () => `${program.name} ${flags} `));
}
