import type { Options, PositionalOptions } from 'yargs';
import type { Ports } from '../ports/ports.ts';

/** What main.ts hands to a command. Adapters are reached through `ports`, and loaded by the first call. */
export interface CommandContext {
  /** Absolute; accounts are the folders in it. */
  readonly rootDir: string;
  readonly ports: Ports;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether a person can be asked. */
  readonly isInteractive: boolean;
  nowMs(): number;
  /** One line on standard error: progress and warnings. */
  note(text: string): void;
  /** @throws StorageError NOT_CONFIRMED when the answer is not yes, or nobody can be asked */
  confirm(question: string): Promise<void>;
}

/** Lines for people; `name()` makes bytes safe for a terminal. */
export interface Screen {
  line(text: string): void;
  name(bytes: Uint8Array): string;
}

/**
 * A command file exports one of these and imports nothing costly: what `run` needs is imported in it, because every
 * start of `bakker-storage` loads every command file.
 */
export interface Command<Args, Result> {
  /** As yargs writes it: `provision <name>`. */
  readonly usage: string;
  readonly summary: string;
  /** Shown under `--help`: command line and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  readonly positionals: Readonly<Record<string, PositionalOptions>>;
  readonly flags: Readonly<Record<string, Options>>;
  run(context: CommandContext, args: Args): Promise<Result>;
  /** What `--json` prints, one value; undefined for nothing. */
  json(result: Result): unknown;
  /** What a person reads. */
  render(result: Result, screen: Screen): void;
  /** 0 if absent. */
  exitStatus?(result: Result): number;
}

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
