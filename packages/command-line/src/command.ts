import type { Options, PositionalOptions } from 'yargs';
import type { TypedHere } from './typed-here.ts';

/** Lines for people. */
export interface Screen {
  line(text: string): void;
  /** Lines that are made as they are printed: more than the memory is to hold. */
  lines(texts: Iterable<string>): void;
  /** Makes bytes safe for a terminal. */
  name(bytes: Uint8Array): string;
  /** Words of the program's own, the commands in them as they have to be typed here: `bakker list` becomes `bakker --config … list`. */
  readonly typedHere: TypedHere;
}

/** Values by name, kebab and camel case alike. A flag not given is its default, else false or undefined. */
export type ParsedArgs = Readonly<Record<string, unknown>>;

/** What can be said and read of a command without running it. */
export interface CommandShape {
  /** As yargs writes it: `restore [paths..]`. */
  readonly usage: string;
  readonly summary: string;
  /** Shown under `--help`: command line and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  readonly positionals: Readonly<Record<string, PositionalOptions>>;
  readonly flags: Readonly<Record<string, Options>>;
}

/**
 * A command file exports one of these and imports nothing costly: what `run` needs is imported in it, because a start of
 * the program loads every command file.
 */
export interface CommandOf<Context, Args, Result> extends CommandShape {
  run(context: Context, args: Args): Promise<Result>;
  /** What `--json` prints, one value; undefined for nothing. What can be iterated is an array, made as it is printed. */
  json(result: Result): unknown;
  /** What a person reads. */
  render(result: Result, screen: Screen): void;
  /** 0 if absent. */
  exitStatus?(result: Result): number;
}

/** A command whose own types are closed over, so that all of them fit one list. */
export interface ListedCommandOf<Context> extends CommandShape {
  readonly name: string;
  perform(context: Context, args: ParsedArgs): Promise<Performed>;
}

/** What a command did; only one of `json` and `render` is asked for. */
export interface Performed {
  readonly exitStatus: number;
  json(): unknown;
  render(screen: Screen): void;
}

export function listCommand<Context, Args, Result>(
  command: CommandOf<Context, Args, Result>,
): ListedCommandOf<Context> {
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
