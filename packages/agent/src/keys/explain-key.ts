import { KeyTextError, SealedError } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';

/** A key text that can't be read, as the operator is told. What is no `KeyTextError` comes back as it is. */
export function explainKeyText(error: unknown, source: string): unknown {
  if (!(error instanceof KeyTextError)) return error;
  const message = `${source}: ${error.message}`;
  switch (error.code) {
    case 'DAMAGED':
    case 'NOT_A_KEY':
      return new AgentError('KEY_DAMAGED', message, {
        hint: 'use another copy of the key: the paper, or the file as it was made',
        cause: error,
      });
    case 'PASSPHRASE_MISSING':
      return new AgentError('KEY_MISSING', message, {
        hint: 'type it at a terminal, or hand it over in BAKKER_PASSPHRASE',
        cause: error,
      });
    case 'PASSPHRASE_WRONG':
      return new AgentError('PASSPHRASE_WRONG', message, { hint: 'try again; capitals count', cause: error });
  }
}

/**
 * Something sealed that does not open, as the operator is told: only for what hangs on the key. Damage is left to the caller,
 * who knows what it means there.
 *
 * @param object - what was to be opened: `2024_04_18_01`
 */
export function explainSealed(error: unknown, object: string): unknown {
  if (!(error instanceof SealedError) || error.code !== 'KEY_MISSING') return error;
  return new AgentError('KEY_WRONG', `${object}: ${error.message}`, {
    hint: 'bakker key check says which key a file holds; --identity-key can be given several times',
    cause: error,
  });
}
