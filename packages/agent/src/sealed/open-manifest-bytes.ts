import { openSealedManifest, SealedError } from '@bakker/impl-format/sealed';
import type { Keyring } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';
import { explainSealed } from '../keys/explain-key.ts';

/**
 * The compressed stream of a manifest that lies sealed.
 *
 * @param what - `2024_04_18_01.impl`
 * @throws AgentError KEY_WRONG, MANIFEST_DAMAGED; what `sealed` throws comes through as it is
 */
export async function* openManifestBytes(
  sealed: AsyncIterable<Uint8Array>,
  { keyring, what }: { keyring: Keyring; what: string },
): AsyncGenerator<Buffer> {
  try {
    yield* openSealedManifest(sealed, keyring);
  } catch (error) {
    if (!(error instanceof SealedError) || error.code === 'KEY_MISSING') throw explainSealed(error, what);
    throw new AgentError('MANIFEST_DAMAGED', `${what} does not open: ${error.message}`, {
      hint: 'it was damaged or exchanged on the storage; choose another run: bakker list',
      cause: error,
    });
  }
}
