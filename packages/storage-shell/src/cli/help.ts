import type { ListedCommand } from './command.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';

const WIDTH = 100;

/** The overview, made without loading anything. */
export function renderOverview(commands: readonly ListedCommand[]): string {
  const width = Math.max(...commands.map((command) => shownUsage(command).length), 12) + 2;
  const lines = commands.map((command) => `  ${shownUsage(command).padEnd(width)}${command.summary}`);
  const flags = Object.entries(GLOBAL_FLAGS).map(([name, flag]) => {
    const value = flag.type === 'string' ? ' DIR' : '';
    const standard = 'default' in flag ? ` (${flag.default})` : '';
    return `  ${`--${name}${value}`.padEnd(width)}${flag.describe}${standard}`;
  });
  return `bakker-storage keeps the accounts of a storage machine apart, their past unchanged, and retires old runs.

Usage: bakker-storage COMMAND [flags]

Commands:
${lines.join('\n')}

Flags of every command:
${flags.join('\n')}

bakker-storage COMMAND --help shows the flags of a command. Exit statuses: docs/exit-codes.md.
`;
}

/** What one command does and takes. */
export async function renderCommandHelp(command: ListedCommand): Promise<string> {
  const { default: yargs } = await import('yargs');
  const parser = yargs()
    .locale('en')
    .scriptName(`bakker-storage ${command.name}`)
    .help(false)
    .version(false)
    .exitProcess(false)
    .wrap(WIDTH)
    .command(command.usage.replace(/^\S+/, '$0'), command.summary, (builder) => {
      for (const [name, positional] of Object.entries(command.positionals))
        builder.positional(name, positional);
      return builder;
    })
    .group(Object.keys(command.positionals), 'Positionals:')
    .options({ ...command.flags, ...GLOBAL_FLAGS })
    .group(Object.keys(command.flags), 'Flags:')
    .group(Object.keys(GLOBAL_FLAGS), 'Flags of every command:');
  for (const [line, meaning] of command.examples) parser.example(line, meaning);
  return `${(await parser.getHelp()).trimEnd()}\n`;
}

function shownUsage(command: ListedCommand): string {
  return command.usage.replace(
    /([<[])([\w-]+)(\.\.)?([>\]])/g,
    (_all, open: string, name: string, dots?: string) => {
      const word = name.toUpperCase() + (dots === undefined ? '' : '…');
      return open === '<' ? word : `[${word}]`;
    },
  );
}
