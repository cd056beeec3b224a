import { StorageError } from '../errors.ts';
import { escapeText } from './escape-name.ts';
import type { ListedCommand } from './command.ts';

/** One place in a command's usage: `<run>`, `[path]`, `[paths..]`. */
export interface Place {
  readonly name: string;
  readonly isRequired: boolean;
  readonly isList: boolean;
}

export function placesOf(usage: string): Place[] {
  return [...usage.matchAll(/([<[])([\w-]+)(\.\.)?[>\]]/g)].map(([, bracket, name = '', dots]) => ({
    name,
    isRequired: bracket === '<',
    isList: dots !== undefined,
  }));
}

/**
 * Gives each word its place.
 *
 * @throws StorageError USAGE if one is missing or left over
 */
export function bindPositionals(command: ListedCommand, words: readonly string[]): Record<string, unknown> {
  const bound: Record<string, unknown> = {};
  const rest = [...words];
  const hint = `bakker-storage ${command.usage}; bakker-storage ${command.name} --help says more`;
  for (const { name, isRequired, isList } of placesOf(command.usage)) {
    if (isRequired && rest.length === 0) {
      throw new StorageError('USAGE', `${command.name}: ${name.toUpperCase()} is missing`, { hint });
    }
    const value = isList ? rest.splice(0) : rest.shift();
    const positional = command.positionals[name];
    bound[name] = value ?? positional?.default;
    const allowed = positional?.choices;
    if (value === undefined || allowed === undefined || allowed.some((choice) => choice === value)) continue;
    const given = escapeText(value.toString());
    throw new StorageError(
      'USAGE',
      `${command.name}: ${name.toUpperCase()} is one of ${allowed.join(', ')}, not ${given}`,
      {
        hint,
      },
    );
  }
  if (rest[0] !== undefined) {
    throw new StorageError('USAGE', `${command.name}: ${escapeText(rest[0])} is one word too many`, { hint });
  }
  return bound;
}
