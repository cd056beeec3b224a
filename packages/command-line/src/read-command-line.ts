import type { ListedCommandOf, ParsedArgs } from './command.ts';
import { escapeText } from './escape-name.ts';
import { nearestName } from './nearest-name.ts';
import { bindPositionals } from './positionals.ts';
import type { Globals, Program } from './program.ts';
import { readFlags } from './read-flags.ts';
import { unknownFlag } from './unknown-flag.ts';

/** What a command line asks for. */
export type CommandLine<Context, Values> =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly command: ListedCommandOf<Context> | undefined }
  | RunAsked<Context, Values>;

/** A command to be run. */
export interface RunAsked<Context, Values> {
  readonly kind: 'run';
  readonly command: ListedCommandOf<Context>;
  readonly globals: Values;
  readonly args: ParsedArgs;
}

/** What words are read by. */
export interface Vocabulary<Context, Values extends Globals> {
  readonly program: Program<Values>;
  readonly commands: readonly ListedCommandOf<Context>[];
}

/**
 * Reads the words after the program's name. yargs is loaded only for flags that need it.
 *
 * @throws CodedError USAGE
 */
export async function readCommandLine<Context, Values extends Globals>(
  words: readonly string[],
  { program, commands }: Vocabulary<Context, Values>,
): Promise<CommandLine<Context, Values>> {
  const end = words.indexOf('--');
  const before = end === -1 ? words : words.slice(0, end);
  const position = commandPosition(before, program);
  const name = before[position];
  if (before.includes('--version')) return { kind: 'version' };
  const asksHelp = before.includes('--help') || before.includes('-h');
  if (name === 'help') {
    const topic = before[position + 1];
    const command = topic === undefined ? undefined : findCommand(topic, { program, commands });
    return { kind: 'help', command };
  }
  if (name === undefined) {
    if (asksHelp) return { kind: 'help', command: undefined };
    const stray = before.find((word) => word.startsWith('-') && !isGlobal(word, program));
    if (stray !== undefined) throw unknownFlag(stray, { program, names: Object.keys(program.globalFlags) });
    const names = commands.map((command) => command.name).join(', ');
    throw program.failure('USAGE', 'no command given', {
      hint: `give one of ${names}; ${program.name} --help says more`,
    });
  }
  const command = findCommand(name, { program, commands });
  if (asksHelp) return { kind: 'help', command };
  const rest = [...before.slice(0, position), ...before.slice(position + 1)];
  const { values, words: others } = await readFlags({ program, command }, rest);
  const behind = end === -1 ? [] : words.slice(end + 1);
  const positionals = bindPositionals({ program, command }, [...others, ...behind]);
  return { kind: 'run', command, globals: program.globals(values), args: { ...values, ...positionals } };
}

/** Where the command's name stands: global flags may come before it. */
function commandPosition(words: readonly string[], { globalFlags }: Program): number {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (!word.startsWith('-')) return index;
    const flag = word.slice(2);
    if (word.startsWith('--') && Object.hasOwn(globalFlags, flag) && globalFlags[flag]?.type === 'string')
      index++;
  }
  return words.length;
}

function isGlobal(word: string, { globalFlags }: Program): boolean {
  return Object.hasOwn(globalFlags, word.replace(/^--(no-)?/, '').replace(/=.*/s, ''));
}

function findCommand<Context, Values extends Globals>(
  name: string,
  { program, commands }: Vocabulary<Context, Values>,
): ListedCommandOf<Context> {
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  const { namesElsewhere = {} } = program;
  const nearest = Object.hasOwn(namesElsewhere, name)
    ? namesElsewhere[name]
    : nearestName(
        name,
        commands.map((candidate) => candidate.name),
      );
  const hint =
    nearest === undefined ? `${program.name} --help lists the commands` : `did you mean ${nearest}?`;
  throw program.failure('USAGE', `there is no command ${escapeText(name)}`, { hint });
}
