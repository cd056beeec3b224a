import { FormatProblem } from '../errors.ts';
import { asText } from '../json-checks.ts';

/** @throws FormatProblem MALFORMED unless it is true or false */
export function asFlag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw new FormatProblem('MALFORMED', `${name} is not true or false`);
  return value;
}

/** @throws FormatProblem MALFORMED unless it is one of the texts */
export function asChoice<const Choice extends string>(
  value: unknown,
  choices: readonly Choice[],
  name: string,
): Choice {
  const chosen = choices.find((choice) => choice === value);
  if (chosen === undefined) throw new FormatProblem('MALFORMED', `${name} is not ${choices.join(' or ')}`);
  return chosen;
}

/**
 * The random name of an unfinished run, or of an account: 32 lower-case hexadecimal digits.
 * @throws FormatProblem MALFORMED
 */
export function asToken(value: unknown, name: string): string {
  const text = asText(value, name);
  if (!isToken(text)) throw new FormatProblem('MALFORMED', `${name} is not 32 hex digits`);
  return text;
}

/** Whether `text` is a token: 32 lower-case hexadecimal digits. */
export function isToken(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** Null stays null; a key that is missing is no null. */
export function orNull<Value>(value: unknown, check: (value: unknown) => Value): Value | null {
  return value === null ? null : check(value);
}
