import type { Options } from 'yargs';
import type { CodedError, FailureExtra } from './coded-error.ts';
import type { ParsedArgs } from './command.ts';

/** What can go wrong around a command, in any program. */
export type FrameFailure = 'USAGE' | 'NOT_CONFIRMED' | 'INTERRUPTED' | 'OUTPUT_BROKEN';

/** Values of flags that every command takes, as far as this package has to know them. */
export interface Globals {
  readonly json: boolean;
}

/** What is a program's own in its command line. */
export interface Program<Values extends Globals = Globals> {
  /** As people type it. */
  readonly name: string;
  readonly version: string;
  /** What follows the name in the first sentence of the overview. */
  readonly purpose: string;
  /** Lines of the overview's examples, without indent. */
  readonly examples: readonly string[];
  /** Taken by every command, COMMON_FLAGS among them. A description has the name of the value in capitals: `DIR that …`. */
  readonly globalFlags: Readonly<Record<string, Options>>;
  globals(values: ParsedArgs): Values;
  /** The flags, between spaces, by which a printed command finds the same places; empty for the usual ones. */
  placeFlags?(values: Values): string;
  /** Commands by the names that like ones have elsewhere: what a hand types that knows another program. */
  readonly namesElsewhere?: Readonly<Record<string, string>>;
  /** The next move after SIGINT or SIGTERM. */
  readonly afterInterruption?: string;
  /** Makes an error of the program's own kind. */
  failure(failure: FrameFailure, message: string, extra?: FailureExtra): CodedError;
}
