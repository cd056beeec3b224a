import type { Options, PositionalOptions } from 'yargs';
import type { Command, CommandContext, Screen } from './command.ts';

/** Values by name, kebab and camel case alike. A flag not given is its default, else false or undefined. */
export type ParsedArgs = Readonly<Record<string, unknown>>;

/** A command whose own types are closed over, so that all of them fit one list. */
export interface ListedCommand {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly examples: readonly (readonly [string, string])[];
  readonly positionals: Readonly<Record<string, PositionalOptions>>;
  readonly flags: Readonly<Record<string, Options>>;
  perform(context: CommandContext, args: ParsedArgs): Promise<Performed>;
}

/** What a command did; only one of `json` and `render` is asked for. */
export interface Performed {
  readonly exitStatus: number;
  json(): unknown;
  render(screen: Screen): void;
}

export function listCommand<Args, Result>(command: Command<Args, Result>): ListedCommand {
  const { usage, summary, examples, positionals, flags } = command;
  return {
    name: usage.split(' ')[0] ?? usage,
    usage,
    summary,
    examples,
    positionals,
    flags,
    async perform(context, args) {
      // The parser has checked the values against the command's own declarations, which Args restates.
      const result = await command.run(context, args as Args);
      return {
        exitStatus: command.exitStatus?.(result) ?? 0,
        json: () => command.json(result),
        render: (screen) => command.render(result, screen),
      };
    },
  };
}
