import type { Options } from 'yargs';
import { CodedError } from './coded-error.ts';
import { escapeText } from './escape-name.ts';
import { readPlainFlags } from './plain-flags.ts';
import type { FlagTable, GivenFlags } from './plain-flags.ts';
import { unknownFlag } from './unknown-flag.ts';
import type { CommandPlace } from './usage-error.ts';
import { usageError } from './usage-error.ts';

/**
 * Takes the flags of a command, and those of every command, out of the words.
 *
 * @returns each flag by name, kebab and camel case alike, and the words that are none
 * @throws CodedError USAGE
 */
export async function readFlags(place: CommandPlace, words: readonly string[]): Promise<GivenFlags> {
  const flags: FlagTable = { ...place.program.globalFlags, ...place.command.flags };
  const given = readPlainFlags(words, flags) ?? (await readByYargs(place, { flags, words }));
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const value = checkValue(place, { name, flag, value: given.values[name] });
    values[name] = value;
    values[camelCase(name)] = value;
  }
  return { values, words: given.words };
}

/**
 * Any form that yargs knows: `--name=value`, lists, numbers. Loading yargs takes 25 ms.
 *
 * @throws CodedError USAGE for flags that there are not, or that lack their value
 */
export async function readByYargs(
  place: CommandPlace,
  { flags, words }: { flags: FlagTable; words: readonly string[] },
): Promise<GivenFlags> {
  const { default: yargs } = await import('yargs');
  const parser = yargs()
    .locale('en')
    .help(false)
    .version(false)
    .exitProcess(false)
    .showHelpOnFail(false)
    .parserConfiguration({
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'greedy-arrays': false,
      'boolean-negation': true,
    })
    .fail((message: string | null, error: Error | undefined) => {
      if (error instanceof CodedError) throw error;
      const problem = (message ?? error?.message ?? 'the flags make no sense').replace(/\s+/g, ' ');
      const lacking = /^Not enough arguments following: (.*)$/.exec(problem)?.[1];
      throw usageError(place, lacking === undefined ? problem : `--${lacking} needs a value`);
    });
  for (const [name, { choices: _choices, demandOption: _demand, ...flag }] of Object.entries(flags)) {
    parser.option(
      name,
      flag.type === 'string' || flag.type === 'number' ? { ...flag, requiresArg: true } : flag,
    );
  }
  const values: Record<string, unknown> = await parser.parseAsync([...words]);
  refuseUnknown(place, { flags, values });
  return { values, words: Array.isArray(values['_']) ? values['_'].map(String) : [] };
}

function refuseUnknown(
  { program, command }: CommandPlace,
  { flags, values }: { flags: FlagTable; values: Readonly<Record<string, unknown>> },
): void {
  const names = Object.keys(flags);
  const aliases = Object.values(flags).flatMap((flag) => flag.alias ?? []);
  const known = new Set(['_', '$0', ...names, ...aliases, ...[...names, ...aliases].map(camelCase)]);
  const unknown = Object.keys(values).find((key) => !known.has(key));
  if (unknown === undefined) return;
  const flag = unknown.length === 1 ? `-${unknown}` : `--${unknown}`;
  throw unknownFlag(flag, { program, command: command.name, names });
}

/** Refuses what the flag does not take; fills in what was not given. */
function checkValue(
  place: CommandPlace,
  { name, flag, value }: { name: string; flag: Options; value: unknown },
): unknown {
  const isList = flag.array === true || flag.type === 'array';
  if (value === undefined) {
    if (flag.demandOption !== undefined && flag.demandOption !== false) {
      throw usageError(place, `--${name} is missing`);
    }
    return flag.type === 'boolean' || flag.boolean === true ? false : undefined;
  }
  if (Array.isArray(value) && !isList) throw usageError(place, `--${name} is given more than once`);
  for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
    if (item === '') throw usageError(place, `--${name} needs a value`);
    if (typeof item === 'number' && Number.isNaN(item)) throw usageError(place, `--${name} needs a number`);
    if (flag.choices === undefined || flag.choices.some((choice) => choice === item)) continue;
    const given = escapeText(String(item));
    throw usageError(place, `--${name} is one of ${flag.choices.join(', ')}, not ${given}`);
  }
  return value;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}
