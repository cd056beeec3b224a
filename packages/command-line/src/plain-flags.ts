import type { Options } from 'yargs';

/** What each flag takes, by name. */
export type FlagTable = Readonly<Record<string, Options>>;

/** Values by the flags' names, and the words that belong to none. */
export interface GivenFlags {
  readonly values: Readonly<Record<string, unknown>>;
  readonly words: readonly string[];
}

/**
 * Reads `--name value`, `--name`, `--no-name` and `-n value`, each at most once: the shape of timers' command lines and of
 * forced commands, which each session starts with, and which yargs would take 25 ms to load for.
 *
 * @returns undefined for anything else, which is left to yargs with all that it knows
 */
export function readPlainFlags(words: readonly string[], flags: FlagTable): GivenFlags | undefined {
  const values: Record<string, unknown> = {};
  const others: string[] = [];
  for (const [name, flag] of Object.entries(flags))
    if (flag.default !== undefined) values[name] = flag.default;
  const given = new Set<string>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (!word.startsWith('-')) {
      others.push(word);
      continue;
    }
    const bare = word.replace(/^--?/, '');
    const isNegated = !Object.hasOwn(flags, bare) && bare.startsWith('no-');
    const name = isNegated ? bare.slice(3) : bare;
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag === undefined || given.has(name) || word !== `${name.length === 1 ? '-' : '--'}${bare}`)
      return undefined;
    given.add(name);
    const value = words[index + 1];
    if (flag.type === 'boolean') {
      // yargs takes these for the flag's value.
      if (value === 'true' || value === 'false') return undefined;
      values[name] = !isNegated;
      continue;
    }
    if (isNegated || flag.type !== 'string' || flag.array === true || value === undefined) return undefined;
    if (value === '' || value.startsWith('-')) return undefined;
    values[name] = value;
    index++;
  }
  return { values, words: others };
}
