import type { Options } from 'yargs';
import { nearestName } from './nearest-name.ts';
import { StorageError } from '../errors.ts';
import { escapeText } from './escape-name.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';
import type { GlobalValues } from './global-flags.ts';
import type { ListedCommand, ParsedArgs } from './command.ts';
import { readPlainFlags } from './plain-flags.ts';
import { bindPositionals } from './positionals.ts';

/** What a command line asks for. */
export type CommandLine =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly command: ListedCommand | undefined }
  | {
      readonly kind: 'run';
      readonly command: ListedCommand;
      readonly globals: GlobalValues;
      readonly args: ParsedArgs;
    };

/**
 * Reads the words after the program's name. yargs is loaded only when there are flags to read.
 *
 * @throws StorageError USAGE
 */
export async function readCommandLine(
  words: readonly string[],
  commands: readonly ListedCommand[],
): Promise<CommandLine> {
  const end = words.indexOf('--');
  const before = end === -1 ? words : words.slice(0, end);
  const position = commandPosition(before);
  const name = before[position];
  if (before.includes('--version')) return { kind: 'version' };
  const asksHelp = before.includes('--help') || before.includes('-h');
  if (name === 'help') {
    const topic = before[position + 1];
    return { kind: 'help', command: topic === undefined ? undefined : findCommand(topic, commands) };
  }
  if (name === undefined) {
    if (asksHelp) return { kind: 'help', command: undefined };
    const stray = before.find((word) => word.startsWith('-') && !isGlobal(word));
    if (stray !== undefined) throw unknownFlag(stray, Object.keys(GLOBAL_FLAGS), 'bakker-storage');
    const names = commands.map((command) => command.name).join(', ');
    throw new StorageError('USAGE', 'no command given', {
      hint: `give one of ${names}; bakker-storage --help says more`,
    });
  }
  const command = findCommand(name, commands);
  if (asksHelp) return { kind: 'help', command };
  const rest = [...before.slice(0, position), ...before.slice(position + 1)];
  const { values, words: others } = await readFlags(command, rest);
  const positionals = bindPositionals(command, [...others, ...(end === -1 ? [] : words.slice(end + 1))]);
  return {
    kind: 'run',
    command,
    globals: {
      rootDir: String(values['root']),
      json: values['json'] === true,
    },
    args: { ...values, ...positionals },
  };
}

/** Where the command's name stands: global flags may come before it. */
function commandPosition(words: readonly string[]): number {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (word === '--root') index++;
    else if (!word.startsWith('-')) return index;
  }
  return words.length;
}

function isGlobal(word: string): boolean {
  return Object.hasOwn(GLOBAL_FLAGS, word.replace(/^--(no-)?/, '').replace(/=.*/s, ''));
}

function findCommand(name: string, commands: readonly ListedCommand[]): ListedCommand {
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  const nearest = nearestName(
    name,
    commands.map((candidate) => candidate.name),
  );
  const hint =
    nearest === undefined ? 'bakker-storage --help lists the commands' : `did you mean ${nearest}?`;
  throw new StorageError('USAGE', `there is no command ${escapeText(name)}`, { hint });
}

async function readFlags(
  command: ListedCommand,
  words: readonly string[],
): Promise<{ values: Record<string, unknown>; words: string[] }> {
  const flags: Readonly<Record<string, Options>> = { ...GLOBAL_FLAGS, ...command.flags };
  const plain = readPlainFlags(words, flags);
  if (plain !== undefined) {
    return { values: checkedValues(command, { flags, given: plain.values }), words: [...plain.words] };
  }
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
      if (error instanceof StorageError) throw error;
      const problem = (message ?? error?.message ?? 'the flags make no sense').replace(/\s+/g, ' ');
      const lacking = /^Not enough arguments following: (.*)$/.exec(problem)?.[1];
      throw usage(command, lacking === undefined ? problem : `--${lacking} needs a value`);
    });
  for (const [name, { choices: _choices, demandOption: _demand, ...flag }] of Object.entries(flags)) {
    parser.option(
      name,
      flag.type === 'string' || flag.type === 'number' ? { ...flag, requiresArg: true } : flag,
    );
  }
  const parsed: Record<string, unknown> = await parser.parseAsync([...words]);
  refuseUnknown(command, flags, parsed);
  const values = checkedValues(command, { flags, given: parsed });
  const others = Array.isArray(parsed['_']) ? parsed['_'].map(String) : [];
  return { values, words: others };
}

/** By name, kebab and camel case alike. */
function checkedValues(
  command: ListedCommand,
  { flags, given }: { flags: Readonly<Record<string, Options>>; given: Readonly<Record<string, unknown>> },
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const value = checkValue({ command, name, flag, value: given[name] });
    values[name] = value;
    values[camelCase(name)] = value;
  }
  return values;
}

function refuseUnknown(
  command: ListedCommand,
  flags: Readonly<Record<string, Options>>,
  parsed: Record<string, unknown>,
): void {
  const names = Object.keys(flags);
  const aliases = Object.values(flags).flatMap((flag) => flag.alias ?? []);
  const known = new Set(['_', '$0', ...names, ...aliases, ...[...names, ...aliases].map(camelCase)]);
  const unknown = Object.keys(parsed).find((key) => !known.has(key));
  if (unknown === undefined) return;
  throw unknownFlag(unknown.length === 1 ? `-${unknown}` : `--${unknown}`, names, command.name);
}

function unknownFlag(flag: string, names: readonly string[], where: string): StorageError {
  const word = flag.replace(/^-+/, '').replace(/=.*/s, '');
  const nearest = word.length < 2 ? undefined : nearestName(word, names);
  const help = where === 'bakker-storage' ? 'bakker-storage --help' : `bakker-storage ${where} --help`;
  const hint = nearest === undefined ? `${help} lists the flags` : `did you mean --${nearest}?`;
  const shown = escapeText(flag.replace(/=.*/s, ''));
  return new StorageError(
    'USAGE',
    where === 'bakker-storage' ? `there is no flag ${shown}` : `${where}: there is no flag ${shown}`,
    {
      hint,
    },
  );
}

interface FlagValue {
  readonly command: ListedCommand;
  readonly name: string;
  readonly flag: Options;
  readonly value: unknown;
}

/** Refuses what the flag does not take; fills in what was not given. */
function checkValue({ command, name, flag, value }: FlagValue): unknown {
  const isList = flag.array === true || flag.type === 'array';
  if (value === undefined) {
    if (flag.demandOption !== undefined && flag.demandOption !== false) {
      throw usage(command, `--${name} is missing`);
    }
    return flag.type === 'boolean' || flag.boolean === true ? false : undefined;
  }
  if (Array.isArray(value) && !isList) throw usage(command, `--${name} is given more than once`);
  for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
    if (item === '') throw usage(command, `--${name} needs a value`);
    if (typeof item === 'number' && Number.isNaN(item)) throw usage(command, `--${name} needs a number`);
    if (flag.choices !== undefined && !flag.choices.some((choice) => choice === item)) {
      throw usage(command, `--${name} is one of ${flag.choices.join(', ')}, not ${escapeText(String(item))}`);
    }
  }
  return value;
}

function usage(command: ListedCommand, problem: string): StorageError {
  return new StorageError('USAGE', `${command.name}: ${problem}`, {
    hint: `bakker-storage ${command.name} --help says more`,
  });
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}
