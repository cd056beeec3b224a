import type { CommandShape } from './command.ts';
import { escapeText } from './escape-name.ts';
import type { CommandPlace } from './usage-error.ts';
import { usageError } from './usage-error.ts';

/** One place in a command's usage: `<run>`, `[path]`, `[paths..]`. */
interface Place {
  readonly name: string;
  readonly isRequired: boolean;
  readonly isList: boolean;
}

/**
 * Gives each word its place.
 *
 * @throws CodedError USAGE if one is missing or left over
 */
export function bindPositionals(place: CommandPlace, words: readonly string[]): Record<string, unknown> {
  const { program, command } = place;
  const bound: Record<string, unknown> = {};
  const rest = [...words];
  const refuse = (problem: string) =>
    usageError(
      place,
      problem,
      `${program.name} ${command.usage}; ${program.name} ${command.name} --help says more`,
    );
  for (const { name, isRequired, isList } of placesOf(command)) {
    if (isRequired && rest.length === 0) throw refuse(`${name.toUpperCase()} is missing`);
    const value = isList ? rest.splice(0) : rest.shift();
    const positional = command.positionals[name];
    bound[name] = value ?? positional?.default;
    const allowed = positional?.choices;
    if (value === undefined || allowed === undefined || allowed.some((choice) => choice === value)) continue;
    throw refuse(
      `${name.toUpperCase()} is one of ${allowed.join(', ')}, not ${escapeText(value.toString())}`,
    );
  }
  if (rest[0] !== undefined) throw refuse(`${escapeText(rest[0])} is one word too many`);
  return bound;
}

function placesOf({ usage }: CommandShape): Place[] {
  return [...usage.matchAll(/([<[])([\w-]+)(\.\.)?[>\]]/g)].map(([, bracket, name = '', dots]) => ({
    name,
    isRequired: bracket === '<',
    isList: dots !== undefined,
  }));
}
