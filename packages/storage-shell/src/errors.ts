import { CodedError } from '@bakker/command-line';

/**
 * Every code that `bakker-storage` can fail with, and the exit status that it ends with. Codes are public and never
 * reused. The session answers requests with the SFTP status of `session/status-codes.ts` instead.
 */
export const EXIT_STATUS = {
  FAILED: 1,
  NOT_FOUND: 1,
  NAME_TAKEN: 1,
  OUT_OF_ORDER: 1,
  PARENT_CHANGED: 1,
  COUNTS_DIFFER: 1,
  MANIFEST_DAMAGED: 1,
  LINE_BROKEN: 1,
  NOT_CONFIRMED: 1,
  USAGE: 2,
  CONFIG_INVALID: 2,
  ACCOUNT_UNUSABLE: 2,
  UNSUPPORTED: 2,
  LOCKED: 11,
  DENIED: 13,
  PAST_READ_ONLY: 13,
  FULL: 13,
  QUOTA: 13,
  DAMAGE_FOUND: 15,
  INTERRUPTED: 130,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

/** An expected failure. */
export class StorageError extends CodedError<ErrorCode> {
  override readonly name = 'StorageError';

  override get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}
