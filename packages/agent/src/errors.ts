import { CodedError } from '@bakker/command-line';
import type { FailureExtra } from '@bakker/command-line';

/**
 * Every code that `bakker` can fail with, and the exit status that it ends with. Codes are public and never reused.
 * docs/exit-codes.md is made from this table.
 */
export const EXIT_STATUS = {
  RUN_FAILED: 1,
  SOURCE_SUSPICIOUS: 1,
  STORAGE_SUSPICIOUS: 1,
  RUN_NOT_FOUND: 1,
  PATH_NOT_FOUND: 1,
  RESTORE_FAILED: 1,
  MANIFEST_DAMAGED: 1,
  NOT_CONFIRMED: 1,
  USAGE: 2,
  CONFIG_INVALID: 2,
  STORAGE_UNFIT: 2,
  STATE_UNUSABLE: 2,
  SOME_UNREADABLE: 3,
  STORAGE_UNREACHABLE: 10,
  HOST_KEY_CHANGED: 10,
  AUTHENTICATION_FAILED: 10,
  CONNECTION_LOST: 10,
  LOCKED: 11,
  KEY_MISSING: 12,
  KEY_WRONG: 12,
  KEY_DAMAGED: 12,
  PASSPHRASE_WRONG: 12,
  STORAGE_REFUSED: 13,
  STORAGE_FULL: 13,
  READING_DENIED: 13,
  QUIESCE_FAILED: 14,
  SNAPSHOT_FAILED: 14,
  RECOVER_INCOMPLETE: 14,
  VERIFY_DAMAGED: 15,
  INTERRUPTED: 130,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

/** What is said where a failure of this code says nothing better. */
const USUAL_HINT: Partial<Record<ErrorCode, string>> = {
  QUIESCE_FAILED:
    'docs/quiesce.md says what each kind of service needs; bakker doctor --online looks at each without a backup',
};

/** An expected failure. */
export class AgentError extends CodedError<ErrorCode> {
  override readonly name = 'AgentError';

  constructor(code: ErrorCode, message: string, extra: FailureExtra = {}) {
    const hint = extra.hint ?? USUAL_HINT[code];
    super(code, message, { ...extra, ...(hint === undefined ? {} : { hint }) });
  }

  override get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}
