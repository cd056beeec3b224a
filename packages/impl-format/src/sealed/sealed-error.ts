/**
 * Why something sealed was refused:
 * `NOT_SEALED` it has no header of ours · `VERSION` written by a newer program · `MALFORMED` a header that is not as
 * specified · `DAMAGED` bytes are not those that were sealed, or not in their place · `TRUNCATED` it ends early ·
 * `KEY_MISSING` it was sealed for other keys · `TABLE_FULL` a strided file has no room for another run's key.
 */
export type SealedErrorCode =
  'NOT_SEALED' | 'VERSION' | 'MALFORMED' | 'DAMAGED' | 'TRUNCATED' | 'KEY_MISSING' | 'TABLE_FULL';

/** Sealed bytes that can't be opened, or nothing may be sealed into. The message names no object: the caller knows it. */
export class SealedError extends Error {
  override readonly name = 'SealedError';
  readonly code: SealedErrorCode;

  constructor(code: SealedErrorCode, message: string, extra: { cause?: unknown } = {}) {
    super(message, { cause: extra.cause });
    this.code = code;
  }
}

/**
 * Why the text of a key was refused: `NOT_A_KEY` it is something else · `DAMAGED` a checksum is wrong, the message says
 * where · `PASSPHRASE_MISSING` it is protected · `PASSPHRASE_WRONG` by another one.
 */
export type KeyTextErrorCode = 'NOT_A_KEY' | 'DAMAGED' | 'PASSPHRASE_MISSING' | 'PASSPHRASE_WRONG';

/** A key that can't be read from its text. Never holds any part of a private key. */
export class KeyTextError extends Error {
  override readonly name = 'KeyTextError';
  readonly code: KeyTextErrorCode;

  constructor(code: KeyTextErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
