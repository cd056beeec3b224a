/** What an error may say besides its message. */
export interface FailureExtra {
  /** The operator's next move. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * An expected failure: the message names the object and the cause, the hint says the operator's next move. Each program
 * has its own, with its own table of codes.
 */
export abstract class CodedError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly hint: string | undefined;

  constructor(code: Code, message: string, extra: FailureExtra = {}) {
    super(message, { cause: extra.cause });
    this.code = code;
    this.hint = extra.hint;
  }

  /** What the program ends with. */
  abstract get exitStatus(): number;
}
