export type { Options, PositionalOptions } from 'yargs';
export { CodedError } from './coded-error.ts';
export type { FailureExtra } from './coded-error.ts';
export { COMMON_FLAGS } from './common-flags.ts';
export { listCommand } from './command.ts';
export type { CommandOf, CommandShape, ListedCommandOf, ParsedArgs, Performed, Screen } from './command.ts';
export { completionOf } from './completion.ts';
export { askYes } from './confirm.ts';
export { escapeName, escapeText, unescapeName } from './escape-name.ts';
export { explainFailure, whatFailed } from './explain-failure.ts';
export type { Failure } from './explain-failure.ts';
export {
  formatBytes,
  formatCount,
  formatCounted,
  formatDate,
  formatDuration,
  formatSpace,
} from './format.ts';
export { nearestName } from './nearest-name.ts';
export type { FrameFailure, Globals, Program } from './program.ts';
export type { RunAsked } from './read-command-line.ts';
export { runProgram } from './run-program.ts';
export type { Running, Start } from './run-program.ts';
export { OutputClosed } from './standard-output.ts';
export type { TypedHere } from './typed-here.ts';
export { tableLine, tableLines, widenColumns } from './table.ts';
export { wallClockMs } from './wall-clock.ts';
