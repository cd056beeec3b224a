import type { Options } from 'yargs';
import type { CommandShape } from './command.ts';
import type { Program } from './program.ts';
import type { CommandPlace } from './usage-error.ts';

/** Where the terminal is wider, or there is none. */
const MOST_COLUMNS = 100;

/** The overview, made without loading anything. */
export function renderOverview(program: Program, commands: readonly CommandShape[]): string {
  const { name, purpose, globalFlags, examples } = program;
  const shownCommands = commands.map((command) => [shownUsage(command), command.summary] as const);
  const shownFlags = Object.entries(globalFlags).map(([flag, options]) => shownFlag(flag, options));
  const width = Math.max(...[...shownCommands, ...shownFlags].map(([shown]) => shown.length)) + 2;
  const lines = (rows: readonly (readonly [string, string])[]) =>
    rows.map(([shown, meaning]) => `  ${shown.padEnd(width)}${meaning}\n`).join('');
  const shownExamples =
    examples.length === 0 ? '' : `\nExamples:\n${examples.map((line) => `  ${line}\n`).join('')}`;
  return `${name} ${purpose}

Usage: ${name} COMMAND [flags]

Commands:
${lines(shownCommands)}
Flags of every command:
${lines(shownFlags)}${shownExamples}
${name} COMMAND --help shows the flags of a command. Exit statuses: docs/exit-codes.md.
`;
}

/** What one command does and takes, for a terminal of so many columns: 0 where that is not known. */
export async function renderCommandHelp({ program, command }: CommandPlace, columns = 0): Promise<string> {
  const { default: yargs } = await import('yargs');
  const parser = yargs()
    .locale('en')
    .scriptName(`${program.name} ${command.name}`)
    .help(false)
    .version(false)
    .exitProcess(false)
    .wrap(Math.min(columns || MOST_COLUMNS, MOST_COLUMNS))
    .command(command.usage.replace(/^\S+/, '$0'), command.summary, (builder) => {
      for (const [name, positional] of Object.entries(command.positionals))
        builder.positional(name, positional);
      return builder;
    })
    .group(Object.keys(command.positionals), 'Positionals:')
    .options({ ...command.flags, ...program.globalFlags })
    .group(Object.keys(command.flags), 'Flags:')
    .group(Object.keys(program.globalFlags), 'Flags of every command:');
  for (const [line, meaning] of command.examples) parser.example(line, meaning);
  return `${(await parser.getHelp()).trimEnd()}\n`;
}

function shownUsage({ usage }: CommandShape): string {
  return usage.replace(/([<[])([\w-]+)(\.\.)?([>\]])/g, (_all, open: string, name: string, dots?: string) => {
    const word = name.toUpperCase() + (dots === undefined ? '' : '…');
    return open === '<' ? word : `[${word}]`;
  });
}

function shownFlag(name: string, { type, describe = '', default: standard }: Options): [string, string] {
  const value = type === 'string' ? ` ${/[A-Z]{2,}/.exec(describe || '')?.[0] ?? 'VALUE'}` : '';
  return [`--${name}${value}`, `${describe || ''}${typeof standard === 'string' ? ` (${standard})` : ''}`];
}
