import type { CommandOf, ListedCommandOf } from '@bakker/command-line';
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

export type Command<Args, Result> = CommandOf<CommandContext, Args, Result>;

export type ListedCommand = ListedCommandOf<CommandContext>;
