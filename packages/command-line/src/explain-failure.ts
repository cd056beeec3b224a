import { CodedError } from './coded-error.ts';
import { escapeText } from './escape-name.ts';
import type { TypedHere } from './typed-here.ts';

/** A failure as people and scripts see it. */
export interface Failure {
  readonly exitStatus: number;
  /** For standard error, without the last line feed. */
  readonly text: string;
}

/**
 * Puts an error in words: `bakker: message`, then the hint on a line of its own.
 *
 * @param program - its name
 * @param signal - once it is aborted, whatever failed after it failed because of it
 * @param typedHere - for the commands that the hint names
 * @param isDebugging - show where unexpected errors (and causes) come from
 */
export function explainFailure(
  thrown: unknown,
  options: { program: string; signal: AbortSignal; isDebugging: boolean; typedHere?: TypedHere },
): Failure {
  const { program, signal, isDebugging, typedHere = (text) => text } = options;
  const error = whatFailed(thrown, signal);
  const stack = isDebugging ? `\n${stackOf(thrown)}` : '';
  if (error instanceof CodedError) {
    // Only the list of problems in a configuration has lines; a line feed elsewhere came from a name.
    const message =
      error.code === 'CONFIG_INVALID'
        ? error.message.split('\n').map(escapeText).join('\n')
        : escapeText(error.message);
    const hint = error.hint === undefined ? '' : `\n  ${escapeText(typedHere(error.hint))}`;
    return { exitStatus: error.exitStatus, text: `${program}: ${message}${hint}${stack}` };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const hint = isDebugging ? '' : '\n  this is a fault in bakker; BAKKER_DEBUG=1 shows where it comes from';
  return { exitStatus: 1, text: `${program}: unexpected ${escapeText(message)}${hint}${stack}` };
}

/** The reason for `thrown`: whatever broke once `signal` had ended the work did so because of that. */
export function whatFailed(thrown: unknown, signal: AbortSignal): unknown {
  const error = withoutCleanup(thrown);
  return signal.aborted && !isInterruption(error) ? (signal.reason as unknown) : error;
}

/** What failed first: a disposer that failed as well hides it behind itself. */
function withoutCleanup(thrown: unknown): unknown {
  let error = thrown;
  while (error instanceof SuppressedError) error = error.suppressed as unknown;
  return error;
}

function isInterruption(error: unknown): boolean {
  return error instanceof CodedError && error.code === 'INTERRUPTED';
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
