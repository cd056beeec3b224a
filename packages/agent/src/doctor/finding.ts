import { AgentError } from '../errors.ts';

/** One line of what `doctor` says. */
export interface Finding {
  /** What was looked at: `host key`. */
  readonly check: string;
  readonly result: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** The next move; not for `ok`. */
  readonly hint?: string;
  /** What a command would end with because of a `fail`. */
  readonly exitStatus?: number;
}

export function ok(check: string, detail: string): Finding {
  return { check, result: 'ok', detail };
}

export function warn(check: string, detail: string, hint: string): Finding {
  return { check, result: 'warn', detail, hint };
}

/** A check that could not be done counts as failed: nothing is known to be well. */
export function failed(check: string, error: unknown): Finding {
  if (error instanceof AgentError) {
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    return { check, result: 'fail', detail: error.message, ...hint, exitStatus: error.exitStatus };
  }
  const detail = error instanceof Error ? error.message : String(error);
  return { check, result: 'fail', detail, exitStatus: 1 };
}
